"""Merging against the reference's own vectors (tables.json), as token ids and through the model."""

import json
from pathlib import Path

import pytest
import torch

from qsv_eval.model_adapters.quicksviewer.merge_inputs import IGNORED, VisualKind, plan_merge
from qsv_eval.model_adapters.quicksviewer.perception import VisualTokens

TABLE = json.loads((Path(__file__).parents[2] / "data" / "reference" / "tables.json").read_text())["placeholder_merge"]
PAD, PLACEHOLDER, QUERIES = 999, -200, 3
THUMBNAIL_START, THUMBNAIL_END, VIDEO_END = 50, 51, 60


class Row:
    """One of the table's cases, with the marks that our processor would add."""

    def __init__(self, name):
        facts = TABLE[name]
        ids = torch.tensor(facts["input_ids"])
        inside_text = name == "pad_id_inside_text_truncates"
        self.ids, self.mask = ids, torch.ones_like(ids) if inside_text else (ids != PAD).long()
        self.kinds, self.frames = mark(ids)
        # Each video's cubes stand behind its thumbnail, which counts as a frame there.
        firsts = [video[0] for video in facts["videos_bound"]]
        self.bounds = [
            [(start - 1 + first, end - 1 + first) for start, end in video[1:]]
            for first, video in zip(firsts, facts["cube_bound_incl_thumbnail"], strict=True)
        ]
        # The reference stops at a pad token within the text (docs/reference.md, section 7); here text is kept.
        self.merged = [row + ids[0, -3:].tolist() * inside_text for row in facts["merged"]]
        self.lengths = [sum(row) + 3 * inside_text for row in facts["attention_mask"]]

    @property
    def visual(self):
        starts = [frame == cube[0] for video in self.bounds for cube in video for frame in range(*cube)]
        tiles = int(((self.kinds == VisualKind.TILE) & (self.ids == PLACEHOLDER)).sum())
        cubes = sum(map(len, self.bounds))
        blocks = torch.arange(tiles + len(self.bounds) + cubes).float().add(1)
        parts = blocks.view(-1, 1, 1).repeat(1, QUERIES, 64).split([tiles, len(self.bounds), cubes])
        counts = tuple(video[-1][1] - video[0][0] for video in self.bounds)
        return VisualTokens(*parts, torch.tensor(starts, dtype=torch.bool), torch.zeros(0, 2), counts)

    def blocks(self):
        """The number of the block at each placeholder that stays, in reading order."""
        tiles, thumbnails, cubes = (len(part) for part in self.visual[:3])
        numbers = {
            VisualKind.TILE: iter(range(tiles)),
            VisualKind.THUMBNAIL: iter(range(tiles, tiles + thumbnails)),
            VisualKind.FRAME: iter(range(tiles + thumbnails, tiles + thumbnails + cubes)),
        }
        firsts = {cube[0] for video in self.bounds for cube in video}
        places = zip(
            self.ids.flatten().tolist(), self.kinds.flatten().tolist(), self.frames.flatten().tolist(), strict=True
        )
        return [
            next(numbers[kind]) for id_, kind, frame in places if id_ == PLACEHOLDER and (frame < 0 or frame in firsts)
        ]


def mark(ids):
    kinds, frames, frame = torch.zeros_like(ids), torch.full_like(ids, -1), 0
    for row, tokens in enumerate(ids.tolist()):
        place = VisualKind.TEXT
        for column, token in enumerate(tokens):
            if token in (THUMBNAIL_START, THUMBNAIL_END, VIDEO_END):
                following = {THUMBNAIL_START: VisualKind.THUMBNAIL, THUMBNAIL_END: VisualKind.FRAME}
                place = following.get(token, VisualKind.TEXT)
            elif place == VisualKind.FRAME:
                kinds[row, column], frames[row, column] = place, frame
                frame += token == PLACEHOLDER
            elif token == PLACEHOLDER:
                kinds[row, column] = place or VisualKind.TILE
    return kinds, frames


def plan(row, **options):
    return plan_merge(row.ids == PLACEHOLDER, row.kinds, row.frames, row.mask, row.visual, **options)


@pytest.fixture(params=TABLE)
def row(request):
    return Row(request.param)


@pytest.mark.parametrize("pad_left", [False, True], ids=["right", "left"])
def test_token_ids_are_the_references(row, pad_left):
    found = plan(row, pad_left=pad_left)
    merged = torch.full((len(row.ids), found.length), PAD)
    merged[found.text_target] = row.ids[found.text_source]
    merged[found.visual_target] = PLACEHOLDER
    for ids, mask, expected, length in zip(merged, found.attention_mask, row.merged, row.lengths, strict=True):
        wide = [id_ for token in expected[:length] for id_ in [token] * (QUERIES if token == PLACEHOLDER else 1)]
        kept = ids[-len(wide) :] if pad_left else ids[: len(wide)]
        assert kept.tolist() == wide
        assert mask.sum() == len(wide)
        assert mask[-1 if pad_left else 0] == 1
        assert ids[mask == 0].eq(PAD).all()


def test_blocks_stand_in_reading_order(row):
    assert plan(row, pad_left=False).visual_block.tolist() == row.blocks()


@pytest.mark.parametrize("pad_left", [False, True], ids=["right", "left"])
def test_embeddings_and_labels_follow(row, pad_left, small_model):
    model = small_model.model
    ids = torch.where(row.ids == PLACEHOLDER, small_model.config.image_token_id, row.ids)
    labels = torch.where(row.ids == PLACEHOLDER, IGNORED, row.ids)
    with torch.no_grad():
        merged = model.merge(ids, row.mask, row.kinds, row.frames, row.visual, labels, pad_left=pad_left)
        blocks = iter(row.blocks())
        for row_embeds, row_labels, expected, length in zip(
            merged.inputs_embeds, merged.labels, row.merged, row.lengths, strict=True
        ):
            pieces, words = [], []
            for token in expected[:length]:
                if token == PLACEHOLDER:
                    pieces.append(torch.full((QUERIES, 64), next(blocks) + 1.0))
                    words += [IGNORED] * QUERIES
                else:
                    pieces.append(model.get_input_embeddings()(torch.tensor([token])))
                    words.append(token)
            pad = len(row_embeds) - len(words)
            embeds = torch.nn.functional.pad(torch.cat(pieces), (0, 0, pad, 0) if pad_left else (0, 0, 0, pad))
            torch.testing.assert_close(row_embeds, embeds)
            padding = [IGNORED] * pad
            assert row_labels.tolist() == (padding + words if pad_left else words + padding)


def test_text_alone_needs_no_marks(small_model):
    ids = torch.tensor([[1, 2, 3]])
    empty = torch.zeros(0, QUERIES, 64)
    visual = VisualTokens(empty, empty, empty, torch.zeros(0, dtype=torch.bool), torch.zeros(0, 2), ())
    merged = small_model.model.merge(ids, None, None, None, visual)
    assert torch.equal(merged.inputs_embeds, small_model.get_input_embeddings()(ids))
    assert merged.labels is None


def test_gradient_reaches_text_and_blocks(small_model):
    row = Row("one_video")
    visual = row.visual
    visual = visual._replace(cubes_CQD=visual.cubes_CQD.requires_grad_(), thumbnails_VQD=visual.thumbnails_VQD)
    ids = torch.where(row.ids == PLACEHOLDER, small_model.config.image_token_id, row.ids)
    merged = small_model.model.merge(ids, row.mask, row.kinds, row.frames, visual)
    weight = small_model.get_input_embeddings().weight
    to_cubes, to_words = torch.autograd.grad(merged.inputs_embeds.sum(), (visual.cubes_CQD, weight))
    assert to_cubes.eq(1).all()
    assert to_words[60].eq(1).all()
    assert not to_words[11].any(), "the time of a dropped frame is not read"


def test_blocks_must_match_the_places():
    row = Row("one_video")
    visual = row.visual
    with pytest.raises(ValueError, match="3 places for visual blocks, but 4"):
        plan_merge(
            row.ids == PLACEHOLDER,
            row.kinds,
            row.frames,
            row.mask,
            visual._replace(tiles_PQD=visual.cubes_CQD[:1]),
            pad_left=False,
        )


def test_a_video_of_which_the_text_holds_no_frame_shows_its_thumbnail_alone():
    row = Row("one_video")
    without = row.frames < 0
    columns = [column[without].unsqueeze(0) for column in (row.ids == PLACEHOLDER, row.kinds, row.frames, row.mask)]
    plan = plan_merge(*columns, row.visual, pad_left=False)
    assert plan.visual_block.tolist() == [0]
