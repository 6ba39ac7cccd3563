"""Diagnosis of a folder with every kind of defect: all are reported, and nothing else."""

import json
from pathlib import Path

import pytest
from official import SRT, clip, parquet, put
from official_images import tables, write_tables

from qsv_eval.data.sample import Sample, SampleVideo, write_samples
from qsv_eval.doctor.defects import DefectKind
from qsv_eval.doctor.diagnosis import diagnose, write_manifest
from qsv_eval.model_adapters.errors import SetupError

OPTIONS = ("red", "green", "blue")


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("QSV_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def sample(name, **fields) -> Sample:
    values = {
        "question": "Which?",
        "options": OPTIONS,
        "answer": "A",
        "video": SampleVideo(path=f"{name}.mp4"),
    } | fields
    return Sample(id=name, **values)


def healthy(folder: Path) -> list[Sample]:
    put(folder / "whole.mp4", clip())
    put(folder / "whole.srt", SRT)
    put(folder / "other.mkv", clip(".mkv"))
    return [
        sample(
            "whole", video=SampleVideo(path="whole.mp4", subtitles="whole.srt", duration_s=2.0, start_s=0.5, end_s=1.0)
        ),
        sample("other", video=SampleVideo(path="other.mkv", duration_s=3.5)),
        sample("unpublished", answer="", video=SampleVideo(path="whole.mp4")),
    ]


def test_a_healthy_benchmark_has_no_defects(root):
    samples = healthy(root / "mvbench")
    write_samples(root / "mvbench/samples/test.jsonl", [sample for sample in samples if sample.answer])
    diagnosis = diagnose("mvbench")
    assert diagnosis.defects == []
    assert diagnosis.samples == 2
    manifest = write_manifest(diagnosis)
    entries = [json.loads(line) for line in manifest.read_text().splitlines()]
    assert [Path(entry["path"]).name for entry in entries] == ["other.mkv", "whole.mp4", "whole.srt"]
    assert entries[1]["bytes"] == len(clip())
    assert entries[1]["duration_s"] == pytest.approx(2.0, abs=0.2)
    assert entries[0]["identity"] != entries[1]["identity"]


def test_every_kind_of_defect_is_found_and_nothing_else(root):
    folder = root / "mvbench"
    samples = healthy(folder)[:2]
    whole = clip(seconds=4)
    put(folder / "empty.mp4", b"")
    put(folder / "text.mp4", "no video at all")
    put(folder / "cut.mkv", clip(".mkv", 4)[: len(clip(".mkv", 4)) // 2])
    put(folder / "half.mp4", whole[: len(whole) // 2])
    put(folder / "long.mp4", clip())
    put(folder / "late.mp4", clip())
    put(folder / "said.mp4", clip())
    put(folder / "said.srt", "no subtitles here")
    samples += [
        sample("missing"),
        sample("empty"),
        sample("text"),
        sample("cut", video=SampleVideo(path="cut.mkv")),
        sample("half"),
        sample("long", video=SampleVideo(path="long.mp4", duration_s=60.0)),
        sample("late", video=SampleVideo(path="late.mp4", start_s=30.0, end_s=31.0)),
        sample("said", video=SampleVideo(path="said.mp4", subtitles="said.srt")),
        sample("few", options=("red",), video=SampleVideo(path="whole.mp4")),
        sample("alike", options=("red", "Red "), video=SampleVideo(path="whole.mp4")),
        sample("wrong", answer="E", video=SampleVideo(path="whole.mp4")),
        sample("nobody", answer="", video=SampleVideo(path="whole.mp4")),
        sample("twice", video=SampleVideo(path="whole.mp4")),
        sample("twice", video=SampleVideo(path="whole.mp4")),
    ]
    write_samples(folder / "samples/test.jsonl", samples)
    diagnosis = diagnose("mvbench")
    assert {(defect.kind, Path(defect.where).stem) for defect in diagnosis.defects} == {
        (DefectKind.MISSING, "missing"),
        (DefectKind.UNREADABLE, "empty"),
        (DefectKind.UNREADABLE, "text"),
        (DefectKind.TRUNCATED, "cut"),
        (DefectKind.TRUNCATED, "half"),
        (DefectKind.DURATION, "long"),
        (DefectKind.BOUNDS, "late"),
        (DefectKind.SUBTITLES, "said"),
        (DefectKind.OPTIONS, "few"),
        (DefectKind.OPTIONS, "alike"),
        (DefectKind.ANSWER, "wrong"),
        (DefectKind.ANSWER, "nobody"),
        (DefectKind.REPEATED_ID, "twice"),
    }
    assert diagnose("mvbench", threads=1).defects == diagnosis.defects


def test_images_are_opened(root, monkeypatch):
    write_tables(root)
    assert diagnose("muirbench").defects == []
    assert diagnose("gqa").defects == []
    (root / "damaged").mkdir()
    monkeypatch.setenv("QSV_DATA", str(root / "damaged"))
    [table] = [table for table in tables() if table.benchmark == "ai2d"]
    rows = [row | {"image": {"bytes": b"no picture", "path": None}} for row in table.rows[:1]] + table.rows[1:]
    parquet(root / "damaged/ai2d" / table.file, rows)
    diagnosis = diagnose("ai2d")
    assert [(defect.kind, defect.where) for defect in diagnosis.defects] == [(DefectKind.IMAGE, "0")]


def test_what_is_not_there_is_said(root):
    with pytest.raises(SetupError, match=r"no benchmark 'videomm'; there are activitynetqa, ai2d, .*videomme"):
        diagnose("videomm")
    with pytest.raises(SetupError, match=r"egoschema: no samples: .*qsv-eval data prepare egoschema"):
        diagnose("egoschema")


def test_the_command_line(root, capsys):
    from typer.testing import CliRunner

    from qsv_eval.cli import app

    samples = healthy(root / "mvbench")[:2]
    write_samples(root / "mvbench/samples/test.jsonl", samples)
    done = CliRunner().invoke(app, ["doctor", "mvbench"])
    assert (done.exit_code, "no defects" in done.output) == (0, True)
    (root / "mvbench/other.mkv").unlink()
    done = CliRunner().invoke(app, ["doctor", "mvbench"])
    assert done.exit_code == 3
    assert "missing" in done.output
    done = CliRunner().invoke(app, ["doctor", "mvbench", "--json"])
    assert [defect["kind"] for defect in json.loads(done.stdout)] == ["missing"]
