"""Data files hold data and nothing executable; long texts have files of their own."""

import json

import pytest

from qsv_eval.leaderboard.page.data_files import DataFiles, as_json
from qsv_eval.leaderboard.page.text import MAX_TEXT, page_text, visible
from qsv_eval.leaderboard.safe_text import digest, file_name
from qsv_eval.model_adapters.errors import SetupError


@pytest.mark.parametrize("text", ["</script>", "<!--", "]]>", "&lt;", "\u2028\u2029", "a\\u003cb", '"', "視頻"])
def test_json_within_a_script_is_the_same_value_and_ends_nothing(text):
    said = as_json({text: [text]})
    assert json.loads(said) == {text: [text]}
    assert not set("<>&\u2028\u2029") & set(said)


def test_numbers_that_are_none_are_no_json():
    with pytest.raises(ValueError, match="JSON"):
        as_json(float("nan"))


def test_what_an_earlier_page_left_goes_and_the_rest_stays(tmp_path):
    earlier = DataFiles(tmp_path)
    earlier.write("frames/old", 1)
    earlier.write("frames/kept", 2)
    (tmp_path / "page" / "frames" / "notes.txt").write_text("somebody's own")
    now = DataFiles(tmp_path)
    assert now.has("frames/kept")
    assert not now.has("frames/new")
    now.write("frames/new", 3)
    now.finish()
    assert sorted(path.name for path in (tmp_path / "page" / "frames").iterdir()) == ["kept.js", "new.js", "notes.txt"]


def test_a_file_is_found_again_by_its_name(tmp_path):
    earlier = DataFiles(tmp_path)
    earlier.remember("a sample", earlier.write("frames/1", 1))
    earlier.remember("another", earlier.write("frames/2", 2))
    earlier.finish()
    (tmp_path / "page" / "frames" / "2.js").unlink()
    for _ in range(2):
        now = DataFiles(tmp_path)
        assert [now.recall(name) for name in ("a sample", "another", "a third")] == ["frames/1", None, None]
        now.finish()
        assert (tmp_path / "page" / "frames" / "1.js").is_file()
    (tmp_path / "page" / "names.json").write_text("{torn")
    assert DataFiles(tmp_path).recall("a sample") is None


def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "page").write_text("")
    with pytest.raises(SetupError, match="name another --output"):
        DataFiles(tmp_path).write("frames/a", 1)


def test_a_long_text_has_a_file_of_its_own(tmp_path):
    files = DataFiles(tmp_path)
    text = "x" * 1_000_000
    said = page_text(text, files)
    assert (said["start"], said["characters"]) == ("x" * MAX_TEXT, 1_000_000)
    assert text in (tmp_path / "page" / f"{said['all']}.js").read_text()
    assert page_text(text, files) == said
    assert page_text("short", files) == "short"


def test_what_cannot_be_seen_is_made_visible_and_lines_stay_lines():
    assert visible("a\r\nb\x1b[0m\x00\n\ud800") == "a\nb\\x1b[0m\\x00\n\\ud800"


def test_names_of_files():
    assert file_name("qsv_mvbench", "by-subtask") == "qsv_mvbench-by-subtask"
    hostile = file_name("../../etc/passwd")
    assert hostile == f"etc-passwd-{digest('../../etc/passwd')}"
    assert file_name("a/b") != file_name("a-b")
    assert len(file_name("x" * 1000 + "/")) < 100
