from qsv_eval.training.skipped_samples import SkippedFile, rewind


def test_lines_of_repeated_steps_are_removed(tmp_path):
    one, two = SkippedFile(tmp_path, 0), SkippedFile(tmp_path, 1)
    one.add(3, ["torn", "too long"])
    two.add(4, ["torn"])
    one.add(5, ["torn"])
    with one.path.open("a") as file:
        file.write('{"step": 2, "rea')  # killed while writing
    assert rewind(tmp_path, 5) == 3
    assert len(one.path.read_text().splitlines()) == 2
    assert rewind(tmp_path, 4) == 2
    assert two.path.read_text() == ""


def test_no_skipped_samples_leave_no_file(tmp_path):
    SkippedFile(tmp_path, 0).add(1, [])
    assert rewind(tmp_path, 1) == 0
    assert not list(tmp_path.iterdir())
