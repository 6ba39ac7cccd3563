"""Files found by the ends of their paths."""

import pytest

from qsv_eval.data.media_index import MediaIndex


@pytest.fixture
def index(tmp_path):
    def build(*names: str) -> MediaIndex:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
        return MediaIndex([tmp_path])

    return build


@pytest.mark.parametrize(
    ("there", "wanted", "found"),
    [
        (["data/a.mp4"], "data/a.mp4", "data/a.mp4"),
        (["x/y/data/a.mp4"], "data/a.mp4", "x/y/data/a.mp4"),
        (["a.mkv"], "data/a.mp4", "a.mkv"),
        (["data/a.MP4"], "data/a.mp4", "data/a.MP4"),
        (["one/a.mp4", "two/a.mp4"], "two/a.mp4", "two/a.mp4"),
        (["deep/er/two/a.mp4", "one/a.mp4"], "two/a.mp4", "deep/er/two/a.mp4"),
        (["v_1.2.x.mp4"], "all/v_1.2.x.mp4", "v_1.2.x.mp4"),
        (["v_1.2.mp4"], "all/v_1.2.x.mp4", None),
        (["subtitle/a.srt", "data/a.mp4"], "subtitle/a.srt", "subtitle/a.srt"),
        (["data/a.mp4"], "subtitle/a.srt", None),
        (["data/b.mp4"], "data/a.mp4", None),
    ],
)
def test_a_file_is_found(index, tmp_path, there, wanted, found):
    assert index(*there).find(wanted) == (tmp_path / found if found else None)


def test_the_first_of_several_names_wins(index, tmp_path):
    files = index("cut/a.mp4", "whole/a.mp4")
    assert files.find("whole/a.mp4", "cut/a.mp4") == tmp_path / "whole/a.mp4"
    assert files.find("none/b.mp4", "cut/a.mp4") == tmp_path / "cut/a.mp4"


def test_what_is_nowhere_is_expected_in_the_first_folder(index, tmp_path):
    assert index("a.mp4").expect("data/b.mp4") == tmp_path / "data/b.mp4"


def test_folders_of_frames(index, tmp_path):
    files = index("tvqa/frames/s01/00001.jpg", "other/s02/00001.jpg")
    assert files.folder("tvqa/frames/s01") == tmp_path / "tvqa/frames/s01"
    assert files.folder("tvqa/frames/s02") is None
