"""Sample pages: values, frames and thumbnails of each sample."""

import json

import pytest
from seen_runs import TASK, demo_rows, record_of, write_seen_run

from qsv_eval.leaderboard.page import thumbnails
from qsv_eval.leaderboard.page.data_files import DataFiles
from qsv_eval.leaderboard.page.read_run import SelectedSamples, frames_used
from qsv_eval.leaderboard.page.sample_pages import write_sample_page
from qsv_eval.leaderboard.page.thumbnails import MAX_THUMBNAILS, VideoClip, VideoClips, thumbnail_rule
from qsv_eval.leaderboard.run_index import origins_of
from qsv_eval.leaderboard.samples import read_samples

RULE = {"answers": {"frame_rule": {"fps": 1.0, "max_frames": 4, "name": "reference"}}}


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("QSV_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def samples_of(folder, task=TASK):
    [origin] = origins_of([folder]).values()
    return read_samples(origin.samples(task))[0].to_dict("records")


def written(tmp_path, samples, records=(), protocol=RULE, total=10):
    files = DataFiles(tmp_path / "out")
    known = {(TASK, record.sample_id): frames_used(record) for record in records}
    shelf = write_sample_page(
        ("a/results.json", TASK), SelectedSamples(samples, total), known, protocol, VideoClips(), files
    )
    return shelf, content(tmp_path, shelf.key)["samples"]


def content(tmp_path, key):
    text = (tmp_path / "out" / "page" / f"{key}.js").read_text("utf-8")
    return json.loads(text.partition(" = ")[2].rstrip().removesuffix(";"))


def test_what_is_not_shown_is_counted(tmp_path):
    samples = samples_of(write_seen_run(tmp_path / "run", ["right", "other", "hm"]))
    shelf, entries = written(tmp_path, samples[:2], total=3)
    assert (shelf.samples, shelf.left_out) == (2, 1)
    assert [entry["outcome"] for entry in entries] == ["correct", "wrong"]


def test_a_sample_says_what_was_asked_seen_and_said(tmp_path):
    samples = samples_of(write_seen_run(tmp_path / "run", ["other"]))
    [row] = demo_rows(["other"])
    _, [entry] = written(tmp_path, samples, [record_of(row, 12)])
    said = {name: entry[name] for name in ("id", "question", "options", "answer", "reply", "extracted", "outcome")}
    assert said == {name: row[name] for name in said}
    assert entry["groups"] == {name: [value] for name, value in row["groups"].items()}
    assert entry["use"]["videos"] == [{"frames": 12, "cubes": [[0, 4, 0, 4], [4, 4, 4, 8], [8, 4, 8, 12]], "lost": 0}]
    assert entry["use"]["tokens"] == 192


HOSTILE = "<b>\x1b[31m\u202eback\ud800"


def test_what_was_read_from_a_reply_can_be_seen_and_is_not_endless(tmp_path):
    samples = samples_of(write_seen_run(tmp_path / "run", ["other", "other"]))
    long = HOSTILE * 1_000
    for sample, extracted in zip(samples, (HOSTILE, long), strict=True):
        said = {"extracted": extracted, "verdicts": {HOSTILE: 4.0}, "rule": HOSTILE, "reason": HOSTILE}
        sample["row"] = {**sample["row"], **said}
    _, (one, other) = written(tmp_path, samples)
    seen = r"<b>\x1b[31m\u202eback\ud800"
    assert (one["extracted"], one["verdicts"], one["rule"], one["reason"]) == (seen, {seen: 4.0}, seen, seen)
    assert other["extracted"]["characters"] == len(long)
    text = (tmp_path / "out" / "page" / f"{other['extracted']['all']}.js").read_text("utf-8")
    assert not set(text) & {"\x1b", "\u202e"}


def test_thumbnails_are_of_the_frames_that_were_looked_at(tmp_path):
    samples = samples_of(write_seen_run(tmp_path / "run", ["other"]))
    [row] = demo_rows(["other"])
    _, [entry] = written(tmp_path, samples, [record_of(row, 3)])
    film = content(tmp_path, entry["frames"])
    assert film["times"] == [0.5, 1.5, 2.5]
    assert max(film["width"], film["height"]) == 160
    assert all(image.startswith("data:image/jpeg;base64,/9j/") for image in film["images"])


def test_thumbnails_stay_where_the_videos_are_not(tmp_path, monkeypatch):
    """Results are copied from the cluster to a laptop, and the page is made again."""
    samples = samples_of(write_seen_run(tmp_path / "run", ["other"]))
    [row] = demo_rows(["other"])

    def page():
        files = DataFiles(tmp_path / "out")
        known = {(TASK, row["id"]): frames_used(record_of(row, 3))}
        shelf = write_sample_page(
            ("a/results.json", TASK), SelectedSamples(samples, 1), known, RULE, VideoClips(), files
        )
        files.finish()
        return content(tmp_path, shelf.key)["samples"][0]

    before = page()
    monkeypatch.setattr(VideoClips, "find", lambda *_: "there is no video here")
    assert page() == before
    assert content(tmp_path, before["frames"])["times"] == [0.5, 1.5, 2.5]


def test_without_a_journal_the_frame_rule_says_which(tmp_path):
    samples = samples_of(write_seen_run(tmp_path / "run", ["other"]))
    _, [entry] = written(tmp_path, samples)
    assert "use" not in entry
    assert len(content(tmp_path, entry["frames"])["times"]) == 4
    long = {"answers": {"frame_rule": {"fps": 1.0, "max_frames": None, "name": "reference"}}}
    _, [entry] = written(tmp_path, samples, protocol=long)
    assert len(content(tmp_path, entry["frames"])["times"]) <= MAX_THUMBNAILS


def test_questions_on_one_video_share_its_thumbnails(tmp_path):
    samples = samples_of(write_seen_run(tmp_path / "run", ["other"] * 4))
    assert len({sample["cluster"] for sample in samples}) == 1
    _, entries = written(tmp_path, samples)
    assert len({entry["frames"] for entry in entries}) == 1


@pytest.mark.parametrize(
    ("clip", "protocol", "why"),
    [
        (VideoClip("gone.mp4"), RULE, "the video gone.mp4 is missing"),
        ("the benchmark's files are not on this machine", RULE, "the benchmark's files are not on this machine"),
        (VideoClip("gone.mp4"), {"answers": {"max_num_frames": 8}}, "another model"),
        (VideoClip("gone.mp4"), {"answers": {"frame_rule": {"fps": 1.0, "colour": "red"}}}, "cannot be read"),
    ],
)
def test_where_there_is_no_thumbnail_it_says_why(tmp_path, monkeypatch, clip, protocol, why):
    samples = samples_of(write_seen_run(tmp_path / "run", ["other"]))
    monkeypatch.setattr(VideoClips, "find", lambda *_: clip)
    _, [entry] = written(tmp_path, samples, protocol=protocol)
    assert "frames" not in entry
    assert why in entry["why"]


def test_a_damaged_video_costs_only_its_thumbnails(tmp_path, data):
    samples = samples_of(write_seen_run(tmp_path / "run", ["other"]))
    found = VideoClips().find(TASK, samples[0]["id"])
    with open(found.path, "wb") as file:
        file.write(b"no video")
    _, [entry] = written(tmp_path, samples)
    assert "frames" not in entry
    assert "is undecodable" in entry["why"]


def test_videos_are_looked_for_without_a_network(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    found = VideoClips()
    assert "not on this machine" in found.find("qsv_mvbench", "x")
    assert constants.HF_HUB_OFFLINE is False
    assert "do not have this question" in found.find(TASK, "x")
    assert "lmms-eval's own" in found.find("videomme", "x")


def test_annotations_are_read_once_for_all_cells_of_a_sweep(tmp_path, monkeypatch):
    read = []
    real = thumbnails._samples_by_id
    monkeypatch.setattr(thumbnails, "_samples_by_id", lambda task: read.append(task) or real(task))
    [sample] = samples_of(write_seen_run(tmp_path / "run", ["other"]))
    of = VideoClips()
    found = {of.find(task, sample["id"]) for task in (TASK, f"{TASK}@max_frames=4", f"{TASK}@max_frames=8,fps=2")}
    assert read == [TASK]
    assert [type(one) for one in found] == [VideoClip]


def test_frames_of_several_videos_are_not_told_apart_so_the_rule_decides():
    [row] = demo_rows(["other"])
    record = record_of(row, 8)
    two = record.model_copy(update={"videos": record.videos * 2})
    assert thumbnail_rule(RULE, frames_used(record)).times == tuple(0.5 + second for second in range(8))
    assert thumbnail_rule(RULE, frames_used(two)).times == ()
