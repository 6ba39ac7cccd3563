"""Where data is looked for, and in which order."""

from pathlib import Path

import huggingface_hub
import pytest

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.paths import cache_folder
from qsv_eval.scoring import sources, videomme


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    root = tmp_path / "data"
    root.mkdir()
    monkeypatch.setenv("QSV_DATA", str(root))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return root


def touch(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return str(path)


def test_the_root_is_a_folder_or_nothing(root, monkeypatch):
    assert sources.data_root() == root
    monkeypatch.setenv("QSV_DATA", "")
    assert sources.data_root() is None
    monkeypatch.setenv("QSV_DATA", touch(root / "file"))
    with pytest.raises(SetupError, match="is not a folder"):
        sources.data_root()


def test_the_homes_follow_their_variables(root, monkeypatch, tmp_path):
    assert sources.hf_home() == tmp_path / "hf"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cache_folder() == tmp_path / "cache" / "qsv_eval"
    monkeypatch.delenv("HF_HOME")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert sources.hf_home() == tmp_path / ".cache" / "huggingface"
    assert cache_folder() == tmp_path / ".cache" / "qsv_eval"


@pytest.mark.parametrize("suffix", [".mp4", ".MP4", ".mkv", ".webm"])
def test_a_video_is_found_with_any_suffix(root, suffix):
    expected = touch(root / "videomme" / "data" / f"abc{suffix}")
    assert videomme.video_path({"videoID": "abc"}) == expected


def test_our_own_folder_comes_before_lmms_evals(root, tmp_path):
    theirs = touch(tmp_path / "hf" / "videomme" / "data" / "abc.mp4")
    assert videomme.video_path({"videoID": "abc"}) == theirs
    ours = touch(root / "videomme" / "data" / "abc.mkv")
    assert videomme.video_path({"videoID": "abc"}) == ours


def test_a_missing_video_is_a_path_where_it_was_expected(root):
    # Not an error here: the reader fails for that one sample, and the run goes on.
    assert videomme.video_path({"videoID": "gone"}) == str(root / "videomme" / "data" / "gone.mp4")


def test_what_the_hub_left_here_is_used(root, monkeypatch):
    kept = touch(root / "hub.parquet")
    asked = []

    def cached(repo, file, repo_type):
        asked.append((repo, file, repo_type))
        return kept if repo == "lmms-eval/Video-MME" else None

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", cached)
    assert videomme._annotations() == [Path(kept)]
    assert asked[0] == ("lmms-lab/Video-MME", "videomme/test-00000-of-00001.parquet", "dataset")


def test_otherwise_it_is_downloaded(root, monkeypatch):
    got = touch(root / "new.parquet")
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: None)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda repo, file, repo_type: got)
    assert videomme._annotations() == [Path(got)]


def test_several_files_are_one_table_in_the_order_of_their_names(root):
    import pandas as pd

    folder = root / "videomme"
    folder.mkdir()
    for name, value in (("b", 2), ("a", 1)):
        pd.DataFrame({"x": [value], "o": [["p", "q"]]}).to_parquet(folder / f"{name}.parquet")
    assert sources.read_parquet(sorted(folder.glob("*.parquet")), ["x"]) == [
        {"x": 1, "o": ["p", "q"]},
        {"x": 2, "o": ["p", "q"]},
    ]
