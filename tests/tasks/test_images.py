"""Tables of image benchmarks: search, errors, and images in the order of the samples."""

import pytest
from official_images import tables, write_tables

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.tasks.registry import task_named


def test_a_table_that_is_nowhere(empty_machine):
    with pytest.raises(SetupError, match=r"ai2d: no samples: .*ai2d has no parquet files.* lmms-lab/ai2d could not"):
        task_named("qsv_ai2d").samples()


def test_a_table_of_something_else(empty_machine):
    write_tables(empty_machine)
    (empty_machine / "ai2d").rename(empty_machine / "unused")
    (empty_machine / "mmstar").rename(empty_machine / "ai2d")
    with pytest.raises(SetupError, match=r"ai2d: its table has no column 'options', only .*l2_category"):
        task_named("qsv_ai2d").samples()


def test_only_the_wanted_split_and_configuration(empty_machine):
    write_tables(empty_machine)
    folder = empty_machine / "mmbench"
    english = (folder / "en/dev-00000-of-00001.parquet").read_bytes()
    for other in ("cn/dev-00000-of-00001.parquet", "en/test-00000-of-00001.parquet"):
        (folder / other).parent.mkdir(exist_ok=True)
        (folder / other).write_bytes(english)
    assert len(task_named("qsv_mmbench").samples()) == 8


def test_rows_that_are_not_asked(empty_machine):
    write_tables(empty_machine)
    assert {sample.id for sample in task_named("qsv_seedbench").samples()} == {"0", "1"}


def test_pictures_follow_their_questions(empty_machine):
    write_tables(empty_machine)
    task = task_named("qsv_mme")
    samples = task.samples()
    [rows] = [table.rows for table in tables() if table.benchmark == "mme"]
    wanted = [int(row["question_id"].rpartition("/")[2].removesuffix(".png")) for row in rows]
    by_id = {sample.id: shade for sample, shade in zip(task.benchmark.unchecked_samples(""), wanted, strict=True)}
    pictures = task.benchmark.load_images("", [sample.id for sample in samples])
    for sample, row in zip(samples, pictures, strict=True):
        assert abs(row["image"].getpixel((0, 0))[0] - by_id[sample.id]) <= 3
