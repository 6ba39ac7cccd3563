"""Search for benchmark data, and its order."""

from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants
from official import clip, parquet, put, videomme_unpacked

from qsv_eval.data.annotation_files import read_rows
from qsv_eval.data.benchmark import Benchmark, BenchmarkSources, data_root, hf_home
from qsv_eval.data.sample import Sample, SampleVideo, write_samples
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.files import cache_folder
from qsv_eval.tasks.videomme.task import VIDEOMME


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    root = tmp_path / "data"
    root.mkdir()
    monkeypatch.setenv("QSV_DATA", str(root))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf/hub"))
    return root


def paths(benchmark=VIDEOMME) -> set[str]:
    return {sample.video.path for sample in benchmark.samples("test")}


def test_the_root_is_a_folder_or_nothing(root, monkeypatch):
    assert data_root() == root
    monkeypatch.setenv("QSV_DATA", "")
    assert data_root() is None
    monkeypatch.setenv("QSV_DATA", str(put(root / "file", b"x")))
    with pytest.raises(SetupError, match="is not a folder"):
        data_root()


def test_the_homes_follow_their_variables(root, monkeypatch, tmp_path):
    assert hf_home() == tmp_path / "hf"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cache_folder() == tmp_path / "cache" / "qsv_eval"
    monkeypatch.delenv("HF_HOME")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert hf_home() == tmp_path / ".cache" / "huggingface"
    assert cache_folder() == tmp_path / ".cache" / "qsv_eval"


def test_what_was_prepared_comes_first(root):
    videomme_unpacked(root / "videomme")
    put(root / "videomme/other.mp4", clip())
    only = Sample(id="1", question="Which?", video=SampleVideo(path="other.mp4", subtitles="subtitle/vid0.srt"))
    write_samples(root / "videomme/samples/test.jsonl", [only])
    [sample] = VIDEOMME.samples("test")
    assert sample.video.path == str(root / "videomme/other.mp4")
    assert sample.video.subtitles == str(root / "videomme/subtitle/vid0.srt")


def test_videos_that_lmms_eval_unpacked_are_found_and_ours_come_before(root, tmp_path):
    videomme_unpacked(root / "videomme")
    unpacked = tmp_path / "hf/videomme/data"
    for number in range(3):
        put(unpacked / f"vid{number}.mp4", clip())
    assert paths() == {str(root / f"videomme/data/vid{number}.mp4") for number in range(3)}
    (root / "videomme/data/vid1.mp4").unlink()
    assert str(unpacked / "vid1.mp4") in paths()


def snapshot(hub: Path, repo: str) -> Path:
    """A repository as the hub's cache has it."""
    folder = hub / f"datasets--{repo.replace('/', '--')}"
    put(folder / "refs/main", "0" * 40)
    return folder / "snapshots" / ("0" * 40)


@pytest.mark.parametrize("repo", VIDEOMME.repos)
def test_what_the_hub_left_here_is_used(root, tmp_path, repo):
    videomme_unpacked(tmp_path / "whole")
    path = snapshot(tmp_path / "hf/hub", repo) / "videomme/test-00000-of-00001.parquet"
    put(path, (tmp_path / "whole/videomme/test-00000-of-00001.parquet").read_bytes())
    for number in range(3):
        put(root / f"videomme/data/vid{number}.mp4", clip())
    assert len(VIDEOMME.samples("test")) == 6


def test_otherwise_it_is_downloaded(root, tmp_path, monkeypatch):
    videomme_unpacked(tmp_path / "download")
    requested = []

    def download(repo, *, local_files_only, **options):
        requested.append((repo, local_files_only))
        if local_files_only or repo != VIDEOMME.repos[0]:
            raise OSError("not here")
        return str(tmp_path / "download")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert len(VIDEOMME.samples("test")) == 6
    assert requested[0] == (VIDEOMME.repos[0], True)
    assert (VIDEOMME.repos[0], False) in requested


def test_nothing_anywhere_is_said_with_the_next_step(root, monkeypatch):
    with pytest.raises(
        SetupError, match=r"data/videomme has none of its official layouts, and lmms-lab/Video-MME could not"
    ):
        VIDEOMME.samples("test")
    monkeypatch.delenv("QSV_DATA")
    with pytest.raises(SetupError, match=r"QSV_DATA is not set.*data/\*.mp4.*qsv-eval data prepare videomme"):
        VIDEOMME.samples("test")


def test_ids_that_repeat_are_refused(root):
    twice = [Sample(id="1", question="x"), Sample(id="1", question="y")]
    benchmark = Benchmark("mine", {"test": lambda sources: twice})
    with pytest.raises(SetupError, match="mine: 1 duplicate id, such as 1"):
        benchmark.samples("test")
    assert benchmark.unchecked_samples("test") == twice


def test_the_first_pattern_that_has_any_file(tmp_path):
    put(tmp_path / "two/b.json", "[]")
    put(tmp_path / "two/a.json", "[]")
    put(tmp_path / "one/c.csv", "")
    sources = BenchmarkSources([tmp_path / "one", tmp_path / "two"])
    assert [file.name for file in sources.files("*.json", "*.csv")] == ["c.csv"]
    assert [file.name for file in BenchmarkSources([tmp_path / "two"]).files("*.csv", "*.json")] == ["a.json", "b.json"]


def test_tables_of_every_kind(tmp_path):
    parquet(tmp_path / "a.parquet", [{"x": 1, "o": ["p"]}])
    put(tmp_path / "b.json", [{"x": 2}])
    put(tmp_path / "c.json", {"one": {"x": 3}})
    put(tmp_path / "d.jsonl", '{"x": 4}\n{"x": 5}\n')
    put(tmp_path / "e.csv", "x,y\n6,ü\n")
    rows = read_rows(sorted(tmp_path.iterdir()), ["x"])
    assert [str(row["x"]) for row in rows] == list("123456")
    assert rows[2]["id"] == "one"
    assert rows[5]["y"] == "ü"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.json", "{", "cannot be read as JSON"),
        ("a.json", "[1]", "is not a list of records"),
        ("a.jsonl", "{\n", "cannot be read as JSON lines"),
        ("a.parquet", "PAR1", "cannot be read as parquet"),
        ("a.csv", "y\n1\n", "record 0 has no x"),
        ("a.csv", "x\n", "No rows in"),
    ],
)
def test_tables_that_are_none(tmp_path, name, content, says):
    put(tmp_path / name, content)
    with pytest.raises(SetupError, match=says):
        read_rows([tmp_path / name], ["x"])
