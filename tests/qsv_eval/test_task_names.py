import pytest

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.task_names import select
from qsv_eval.tasks import FOLDER, task_files


def test_every_task_file_is_named_after_its_task():
    for name, path in task_files().items():
        assert f"\ntask: {name}\n" in "\n" + path.read_text()
        assert path.is_relative_to(FOLDER)


@pytest.mark.parametrize(
    ("names", "selected", "foreign"),
    [
        (["qsv_demo"], ["qsv_demo"], False),
        (["videomme"], ["qsv_videomme"], False),
        (["videomme", "qsv_videomme"], ["qsv_videomme"], False),
        (["lmms-eval/videomme"], ["videomme"], True),
        (["qsv_video"], ["qsv_video"], False),
        (["demo", "hellaswag"], ["qsv_demo", "hellaswag"], True),
    ],
)
def test_names(names, selected, foreign):
    assert select(names) == (selected, foreign)


def test_no_task():
    with pytest.raises(SetupError, match="no task was named"):
        select([])


def test_unknown_task_of_ours():
    with pytest.raises(SetupError, match="there is no task 'qsv_videome'; did you mean qsv_videomme"):
        select(["qsv_videome"])
