"""Properties of every task file."""

from pathlib import Path

import lmms_eval.tasks
import pytest
import yaml

from qsv_eval.tasks import FOLDER, task_files
from qsv_eval.tasks.registry import task_named

NAMES = list(task_files())
SETTINGS = {"max_new_tokens", "do_sample", "temperature", "top_p", "num_beams", "until"}


class _Loader(yaml.SafeLoader):
    """Reads `!function name` as the name."""


_Loader.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))


def task_file(name):
    (file,) = FOLDER.rglob(f"{name}.yaml")
    config = yaml.load(file.read_text(), _Loader)
    if base := config.pop("include", None):
        config = yaml.load((file.parent / base).read_text(), _Loader) | config
    return config


def functions(value):
    if isinstance(value, dict):
        return [name for item in value.values() for name in functions(item)]
    if isinstance(value, list):
        return [name for item in value for name in functions(item)]
    return [value] if isinstance(value, str) and value.startswith("qsv_eval.") else []


def test_these_are_the_tasks(task_manager):
    assert sorted(set(task_manager.all_tasks) - set(task_manager.all_tags)) == NAMES
    assert sorted(task_manager.task_index["qsv_all"]["task"]) == NAMES
    video, image = (set(task_manager.task_index[tag]["task"]) for tag in ("qsv_video", "qsv_image"))
    assert video | image == set(NAMES)
    assert image == {name for name in NAMES if task_files()[name].parent.name == "images"}


def test_no_name_is_one_of_lmms_evals_own():
    # If names clash, lmms-eval takes its own task without a warning.
    lmms_tasks = "\n".join(file.read_text() for file in Path(lmms_eval.tasks.__file__).parent.rglob("*.yaml"))
    assert "qsv_" not in lmms_tasks


@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_complete(name):
    config = task_file(name)
    assert config["task"] == config["dataset_name"] == task_named(name).name == name
    assert set(config["generation_kwargs"]) == SETTINGS
    assert config["generation_kwargs"]["until"] == []
    assert config["metadata"]["version"]
    assert [metric["metric"] for metric in config["metric_list"]] == [
        "accuracy",
        "accuracy_reference_extractor",
        "outcome",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_functions_are_named_in_full_and_exist(name):
    from lmms_eval.utils import load_yaml_config

    (file,) = FOLDER.rglob(f"{name}.yaml")
    assert len(functions(task_file(name))) == 8
    assert callable(load_yaml_config(str(file), mode="full")["process_results"])
