"""`qsv-eval data prepare`: files written, resuming, and errors."""

import json
import os
from pathlib import Path

import pytest
from official import clip, mlvu_original, videomme_hub, videomme_unpacked
from typer.testing import CliRunner

from qsv_eval.cli import app
from qsv_eval.data.prepare import prepare
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.tasks.registry import benchmark_named

VIDEOMME = benchmark_named("videomme")


def test_what_is_left(tmp_path):
    videomme_hub(tmp_path / "download")
    prepared = prepare(VIDEOMME, tmp_path / "download", tmp_path / "root")
    folder = tmp_path / "root/videomme"
    assert prepared == (folder, {"test": 6}, [])
    lines = [json.loads(line) for line in (folder / "samples/test.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == ["000-0", "000-1", "001-0", "001-1", "002-0", "002-1"]
    assert lines[0]["video"] == {"path": "data/vid0.mp4", "subtitles": "subtitle/vid0.srt"}
    assert lines[4]["video"] == {"path": "data/vid2.MP4"}
    assert (folder / "data/vid0.mp4").read_bytes() == clip()
    assert len(list((tmp_path / "download").glob("*.zip"))) == 3


def test_archives_go_when_asked_for_and_the_rest_goes_on(tmp_path, monkeypatch):
    videomme_hub(tmp_path / "download")
    broken = tmp_path / "download/videos_chunked_02.zip"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-30])
    with pytest.raises(SetupError, match=r"videos_chunked_02.zip: cannot be unpacked"):
        prepare(VIDEOMME, tmp_path / "download", tmp_path / "root", remove_archives=True)
    assert not (tmp_path / "download/videos_chunked_01.zip").exists()
    assert (tmp_path / "root/videomme/data/vid0.mp4").is_file()
    broken.write_bytes(whole)
    prepared = prepare(VIDEOMME, tmp_path / "download", tmp_path / "root", remove_archives=True)
    assert prepared.missing == []
    assert list((tmp_path / "download").glob("*.zip")) == []


def test_a_finished_archive_is_not_looked_into_again(tmp_path, monkeypatch):
    videomme_hub(tmp_path / "download")
    prepare(VIDEOMME, tmp_path / "download", tmp_path / "root")
    monkeypatch.setattr("qsv_eval.data.prepare.unpack", lambda *_: pytest.fail("unpacked again"))
    prepare(VIDEOMME, tmp_path / "download", tmp_path / "root")


@pytest.mark.parametrize("links", [True, False])
def test_open_files_are_linked_or_copied(tmp_path, monkeypatch, links):
    videomme_unpacked(tmp_path / "download")
    if not links:
        monkeypatch.setattr("os.link", lambda *_: (_ for _ in ()).throw(OSError("another disk")))
    prepare(VIDEOMME, tmp_path / "download", tmp_path / "root")
    original, placed = tmp_path / "download/data/vid0.mp4", tmp_path / "root/videomme/data/vid0.mp4"
    assert placed.read_bytes() == original.read_bytes()
    assert os.path.samefile(placed, original) is links


def test_in_place(tmp_path):
    videomme_hub(tmp_path / "root/videomme")
    assert prepare(VIDEOMME, tmp_path / "root/videomme", tmp_path / "root").samples == {"test": 6}
    assert prepare(VIDEOMME, tmp_path / "root/videomme", tmp_path / "root").samples == {"test": 6}


def test_what_is_missing_is_listed(tmp_path):
    mlvu_original(tmp_path / "download")
    gone = tmp_path / "download/MLVU/video/3_ego/ego_0.mp4"
    gone.unlink()
    done = CliRunner().invoke(
        app, ["data", "prepare", "mlvu", "--from", str(tmp_path / "download"), "--to", str(tmp_path / "root")]
    )
    assert done.exit_code == 3
    assert "mlvu choice: 14 samples\nmlvu generation: 2 samples\n" in done.output
    missing = [line for line in done.output.splitlines() if line.startswith("missing: ")]
    assert [Path(line).name for line in missing] == ["ego_0.mp4"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["videomme", "--from", "nowhere", "--to", "."], "--from nowhere: not a folder"),
        (
            ["videomme", "--from", "empty", "--to", "root"],
            "no official layout of videomme found; it needs videomme/*.parquet",
        ),
        (["mme", "--from", "empty", "--to", "root"], "mme: nothing to prepare"),
        (["nothing", "--from", "empty", "--to", "root"], "there is no benchmark 'nothing'"),
        (["videomme", "--from", "empty"], "name the folder of the benchmarks by --to or QSV_DATA"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("QSV_DATA", raising=False)
    (tmp_path / "empty").mkdir()
    done = CliRunner().invoke(app, ["data", "prepare", *words])
    assert isinstance(done.exception, SetupError)
    assert says in str(done.exception)
