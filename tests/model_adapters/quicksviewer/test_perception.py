"""Streamed perception equals the plain one, does not depend on its chunks, and keeps little."""

import pytest
import torch

from qsv_eval.model_adapters.quicksviewer.gate import gumbel_noise
from qsv_eval.model_adapters.quicksviewer.messages import VideoInput
from qsv_eval.model_adapters.quicksviewer.perception import FrameSummaries, GumbelNoise
from qsv_eval.model_adapters.quicksviewer.resampler import FramePartials


def relative_error(ours, theirs):
    return ((ours.float() - theirs.float()).abs().max() / theirs.float().abs().max()).item()


SETTINGS = {
    "small": {},
    "twelve queries": {"num_queries": 12},
    "without kv_proj": {"vision_width": 64},
    "slow gate": {"gate_momentum": 0.3, "gate_temperature": 1.5, "gate_norm_eps": 1e-3},
    "short cubes": {"frames_per_cube": 2.5},
    "no thumbnail": {"use_thumbnail": False},
    "one head": {"resampler_heads": 1, "resampler_norm_eps": 1e-3},
}


@pytest.mark.parametrize("noisy", [False, True], ids=["quiet", "noise"])
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
def test_equals_the_plain_perception(small_perception, naive, settings, noisy):
    perception = small_perception(**settings)
    perception.chunk_frames = 7
    feats = torch.randn(23, 36, settings.get("vision_width", 40), requires_grad=True)
    uniform = torch.rand(22, 2)
    noise = GumbelNoise(0.7, uniform) if noisy else None
    ours = perception(None, feats, (23,), noise)
    logits, starts, small, cubes = naive.perceive(perception, feats, 0.7 * gumbel_noise(uniform) if noisy else None)
    assert ours.starts_T.nonzero().flatten().tolist() == starts
    pairs = [(ours.gate_logits_G2, logits), (ours.cubes_CQD, cubes)]
    if small is None:
        assert not len(ours.thumbnails_VQD)
    else:
        pairs.append((ours.thumbnails_VQD[0], small))
    pulls = [torch.randn_like(theirs) for _, theirs in pairs]
    inputs = {"features": feats, **dict(perception.named_parameters())}
    inputs = {name: tensor for name, tensor in inputs.items() if "vision_tower" not in name}
    gradients = []
    for side in (0, 1):
        total = sum((pair[side] * pull).sum() for pair, pull in zip(pairs, pulls, strict=True))
        gradients.append(torch.autograd.grad(total, list(inputs.values()), allow_unused=True))
    for mine, theirs in pairs:
        assert relative_error(mine, theirs) < 1e-5
    scale = max(gradient.abs().max() for gradient in gradients[1] if gradient is not None)
    for name, mine, theirs in zip(inputs, *gradients, strict=True):
        assert (mine - theirs).abs().max() < 1e-4 * max(theirs.abs().max(), 1e-3 * scale), name


def test_time_beyond_the_references_table(small_perception, naive):
    perception = small_perception()
    feats = torch.randn(310, 36, 40)
    with torch.no_grad():
        ours, theirs = perception(None, feats, (310,)), naive.perceive(perception, feats)
    assert ours.starts_T.nonzero().flatten().tolist() == theirs[1]
    assert relative_error(ours.cubes_CQD, theirs[3]) < 1e-5


@torch.no_grad()
def test_chunk_size_moves_nothing(qv, video_case):
    video = VideoInput(video_case.arrays["frames"][:9], [0.5 + i for i in range(9)])
    batch = qv.processor.encode([[{"role": "user", "content": [{"type": "video", "video": video}]}]])
    text = {key: batch[key] for key in ("input_ids", "attention_mask", "visual_kind", "frame_ids")}
    perception = qv.model.model.perception
    found = {}
    try:
        for chunk in (1, 7, 9):
            perception.chunk_frames = chunk
            visual = qv.model.perceive(None, batch["pixel_values_videos"], batch["frame_counts"])
            merged = qv.model.model.merge(**text, visual=visual)
            found[chunk] = {
                "thumbnail": visual.thumbnails_VQD,
                "cubes": visual.cubes_CQD,
                "gate": visual.gate_logits_G2,
                "logits": qv.model(inputs_embeds=merged.inputs_embeds).logits,
            }
    finally:
        del perception.chunk_frames
    for chunk in (1, 7):
        for name, tensor in found[9].items():
            assert relative_error(found[chunk][name], tensor) < 1e-5, f"{name} in chunks of {chunk}"


@torch.no_grad()
def test_several_videos_and_images_equal_each_alone(small_perception):
    perception = small_perception()
    tiles, *videos = (torch.randn(count, 36, 40) for count in (3, 8, 1, 13))
    together = perception(tiles, torch.cat(videos), (8, 1, 13))
    alone = [perception(None, video, (len(video),)) for video in videos]
    assert together.bounds() == [one.bounds()[0] for one in alone]
    assert relative_error(together.cubes_CQD, torch.cat([one.cubes_CQD for one in alone])) < 1e-5
    assert relative_error(together.thumbnails_VQD, torch.cat([one.thumbnails_VQD for one in alone])) < 1e-5
    assert relative_error(together.gate_logits_G2, torch.cat([one.gate_logits_G2 for one in alone])) < 1e-5
    lone_tiles = [perception(tile, None).tiles_PQD for tile in tiles.split(1)]
    assert relative_error(together.tiles_PQD, torch.cat(lone_tiles)) < 1e-5


@torch.no_grad()
def test_a_lone_frame_is_one_cube_and_its_own_thumbnail(small_perception):
    perception = small_perception()
    feats = torch.randn(1, 36, 40)
    visual = perception(None, feats, (1,))
    assert visual.bounds() == [[(0, 1)]]
    assert visual.gate_logits_G2.shape == (0, 2)
    pooled = feats[0].view(9, 4, 40).mean(1)
    torch.testing.assert_close(visual.thumbnails_VQD[0], perception.thumbnail(pooled))


@pytest.mark.parametrize(("cubing", "starts"), [("equal", [0, 5, 10, 15]), ("difference", [0, 2, 3, 19])])
def test_cubes_without_the_gate(small_perception, cubing, starts):
    perception = small_perception(cubing=cubing)
    scenes = torch.randn(4, 36, 40).repeat_interleave(torch.tensor([2, 1, 16, 1]), dim=0)
    visual = perception(None, scenes.requires_grad_(), (20,), GumbelNoise(1.0))
    assert visual.starts_T.nonzero().flatten().tolist() == starts
    visual.thumbnails_VQD.sum().backward()
    assert perception.gate.logits.weight.grad is None
    assert perception.thumbnail.weight.grad.abs().sum() > 0
    assert [len(one) for one in perception(None, torch.randn(1, 36, 40), (1,)).bounds()] == [1]


def test_noise_is_drawn_when_none_is_given(small_perception):
    perception = small_perception()
    feats = torch.randn(60, 36, 40)
    with torch.no_grad():
        summaries = perception.summarise(feats)
        quiet = perception.cut(summaries, (60,))
        torch.manual_seed(1)
        loud = perception.cut(summaries, (60,), GumbelNoise(20.0))
    assert not torch.equal(quiet.starts_T, loud.starts_T)
    assert torch.equal(quiet.gate_logits_G2, loud.gate_logits_G2), "the logits in the loss are those without noise"


def test_pixels_are_normalised_as_by_siglips_processor(qwen):
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    ours = qwen.model.model.perception._normalise(levels)
    rescaled = (levels.double() * 0.00392156862745098).float()
    assert torch.equal(ours, (rescaled - 0.5) / 0.5)
    assert torch.equal(qwen.model.model.perception._normalise(ours), ours), "floats count as normalised"


def test_no_frames_is_an_error(small_perception):
    with pytest.raises(ValueError, match="no frames"):
        small_perception().summarise(torch.zeros(0, 36, 40))


@torch.no_grad()
def test_gate_is_float32_in_a_bfloat16_model(small_perception):
    perception = small_perception().bfloat16()
    feats = torch.randn(60, 36, 40).bfloat16()
    half = perception(None, feats, (60,))
    assert half.gate_logits_G2.dtype == torch.float32
    assert half.cubes_CQD.dtype == half.thumbnails_VQD.dtype == torch.bfloat16
    exact = perception.gate.float()(feats.float().mean(1))
    assert torch.equal(half.gate_logits_G2, exact)
    whole = perception.float()(None, feats.float(), (60,))
    assert torch.equal(half.starts_T, whole.starts_T)


@torch.no_grad()
def test_gate_is_float32_under_autocast(small_perception):
    perception = small_perception()
    feats = torch.randn(60, 36, 40)
    plain = perception(None, feats, (60,))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = perception(None, feats, (60,))
    assert torch.equal(mixed.gate_logits_G2, plain.gate_logits_G2)
    assert torch.equal(mixed.starts_T, plain.starts_T)
    assert relative_error(mixed.cubes_CQD, plain.cubes_CQD) < 0.05


TOKENS, QUERIES, VISION, WIDTH = 576, 64, 288, 896


@pytest.fixture(scope="module")
def wide(small_perception):
    """d = 288 and D = 896, without data: on the meta device tensors have sizes only."""
    perception = small_perception(
        vision_width=VISION, width=WIDTH, grid_size=24, num_queries=QUERIES, resampler_heads=None
    ).to("meta")
    perception.encode = lambda frames: torch.empty(len(frames), TOKENS, VISION, device="meta", dtype=perception.dtype)
    return perception


def fold(perception, frames, live_bytes):
    """What the fold over the frames holds at its peak, and what it leaves."""
    pixels = torch.empty(frames, 1, device="meta")
    with torch.no_grad(), live_bytes(perception.parameters()) as memory:
        summaries = perception.summarise(pixels)
    return memory, summaries


def real_like(summaries):
    partials = FramePartials(*(torch.rand(tensor.shape, dtype=tensor.dtype) for tensor in summaries.partials))
    means_Td, pooled_TQd = (torch.rand(t.shape, dtype=t.dtype) for t in (summaries.means_Td, summaries.pooled_TQd))
    return FrameSummaries(means_Td, pooled_TQd, partials)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_memory_after_the_tower(wide, live_bytes, dtype):
    perception = wide.to(dtype)
    frames = 420
    limit = 4 * frames * TOKENS * VISION * dtype.itemsize / 6
    memory, summaries = fold(perception, frames, live_bytes)
    kept = [summaries.means_Td, summaries.pooled_TQd, *summaries.partials]
    small_terms = VISION + QUERIES * perception.resampler.heads
    values_per_frame = sum(tensor.numel() for tensor in kept) / frames
    assert values_per_frame <= QUERIES * (WIDTH + VISION) + small_terms
    state = sum(tensor.numel() * tensor.element_size() for tensor in kept)
    workspace = fold(perception, perception.chunk_frames, live_bytes)[0].peak
    assert memory.peak - workspace <= 1.01 * state, "the fold keeps no more than its state"
    assert memory.peak - workspace <= limit
    summaries = real_like(summaries)
    perception.to_empty(device="cpu")
    with torch.no_grad(), live_bytes(perception.parameters()) as cutting:
        perception.cut(summaries.take(range(frames)), (frames,))
    perception.to("meta")
    assert state < cutting.peak <= limit
    table = 300 * TOKENS * WIDTH * 4
    assert max(memory.largest, cutting.largest) < table / 5, "no position table, nor anything of its size"


def test_memory_counter_sees_what_real_tensors_take(live_bytes):
    with live_bytes() as memory:
        kept = torch.ones(1000)
        (kept + 1).sum()
        del kept
        torch.ones(10)
    assert memory.peak == pytest.approx(2 * 4000, abs=100)


def test_no_loop_over_frames_or_cubes(small_perception, live_bytes):
    perception = small_perception()
    perception.chunk_frames = 1000
    counts = []
    for frames in (20, 400):
        with torch.no_grad(), live_bytes() as work:
            perception.cut(perception.summarise(torch.randn(frames, 36, 40)), (frames,))
        counts.append(work.operations)
    assert counts[0] == counts[1]


def test_tower_takes_a_grid_of_another_size(qwen, random_clip):
    frames = qwen.processor.video_processor.preprocess([VideoInput(random_clip(2)).frames_THWC])["pixel_values_videos"]
    with torch.no_grad():
        assert qwen.model.model.perception.encode(frames).shape == (2, 576, 48)
