"""Schema of samples, written and read."""

import pytest
from pydantic import ValidationError

from qsv_eval.data.sample import Sample, SampleVideo, duplicate_ids, read_samples, write_samples
from qsv_eval.model_adapters.errors import SetupError

FULL = Sample(
    id="1",
    video=SampleVideo(path="a.mp4", start_s=0.5, end_s=2.0, subtitles="a.srt"),
    question="Which?\nReally?",
    options=("A. red", "B. grün"),
    answer="A",
    cluster="a",
    groups={"kind": "first", "abilities": ("x", "y")},
    notes={"hint": "look"},
)


def test_samples_come_back_as_they_were(tmp_path):
    samples = [FULL, Sample(id="2", question="", images=("image",), answers=("a", "b"))]
    write_samples(tmp_path / "new/test.jsonl", samples)
    assert read_samples(tmp_path / "new/test.jsonl") == samples


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"id": "", "question": "x"}', "id: String should have at least 1 character"),
        ('{"id": "1", "question": "x", "colour": 1}', "colour: Extra inputs are not permitted"),
        ('{"id": "1", "question": "x", "video": {"path": "a", "start_s": 2, "end_s": 1}}', "ends at 1.0 s and starts"),
        ("{", "the line: Invalid JSON"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, says):
    file = tmp_path / "test.jsonl"
    file.write_text(f'{{"id": "0", "question": "x"}}\n{line}\n')
    with pytest.raises(SetupError, match=r"test.jsonl:2: .*qsv-eval data prepare") as caught:
        read_samples(file)
    assert says in str(caught.value)


def test_a_segment_without_length_is_none():
    with pytest.raises(ValidationError, match="ends at"):
        SampleVideo(path="a.mp4", end_s=1.0, start_s=1.0)
    assert SampleVideo(path="a.mp4", end_s=1.0).start_s is None


def test_repeated_ids():
    assert duplicate_ids([Sample(id=name, question="") for name in "abcacb"]) == ["a", "b", "c"]
