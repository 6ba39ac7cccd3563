"""The cache folder and atomic writes: a file with its final name is complete."""

from pathlib import Path

import pytest

from qsv_eval.model_adapters.files import UNFINISHED, atomic_write, cache_folder


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cache_folder("journal", "a") == tmp_path / "cache" / "qsv_eval" / "journal" / "a"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "qsv_eval"


@pytest.mark.parametrize("many_writers", [False, True])
def test_a_file_is_repathd_at_the_end(tmp_path: Path, many_writers: bool) -> None:
    path = tmp_path / "new" / "file.json"
    for content in ("one", "two"):
        with atomic_write(path, many_writers=many_writers) as draft:
            draft.write_text(content)
            assert (draft.parent, draft.suffix) == (path.parent, UNFINISHED)
            assert path.exists() == (content == "two")
        assert path.read_text() == content
    assert list(path.parent.iterdir()) == [path]


def test_what_failed_is_gone_and_what_was_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text("before")

    def half_a_file() -> None:
        with atomic_write(path) as draft:
            draft.write_text("ha")
            raise ZeroDivisionError

    def half_a_folder() -> None:
        with atomic_write(tmp_path / "folder") as draft:
            draft.mkdir()
            (draft / "half").touch()
            raise ZeroDivisionError

    for fails in (half_a_file, half_a_folder):
        with pytest.raises(ZeroDivisionError):
            fails()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_has_its_name_when_it_is_whole(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "checkpoint") as draft:
        draft.mkdir()
        (draft / "weights").touch()
        assert not (tmp_path / "checkpoint").exists()
    assert (tmp_path / "checkpoint" / "weights").is_file()


def test_writers_at_once_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with atomic_write(path, many_writers=True) as first:
        first.write_text("first")
        with atomic_write(path, many_writers=True) as second:
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"


def test_what_a_killed_process_left_is_written_over(tmp_path: Path) -> None:
    (tmp_path / f"file{UNFINISHED}").write_text("half of it, and longer")
    with atomic_write(tmp_path / "file") as draft:
        draft.write_text("all")
    assert (tmp_path / "file").read_text() == "all"
    assert len(list(tmp_path.iterdir())) == 1
