"""Numbers agree with their nouns."""

from qsv_eval.model_adapters.plurals import counted


def test_numbers_agree():
    assert [counted(n, "video") for n in (0, 1, 2000)] == ["0 videos", "1 video", "2,000 videos"]
    assert counted(2, "process", "processes") == "2 processes"
