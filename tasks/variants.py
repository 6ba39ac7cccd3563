"""A task under other settings, as lmms-eval's Task object: the cells of a sweep.

Dict overrides of a task's name will not do: lmms-eval keeps only the last of several under one name, and a part of the
generation settings would replace all of them.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.variant_name import MARK

if TYPE_CHECKING:
    from lmms_eval.api.task import ConfigurableMessagesTask
    from lmms_eval.tasks import TaskManager

__all__ = ["Variant", "single_task"]


def single_task(name: str, manager: "TaskManager") -> Mapping[str, Any]:
    """Return what lmms-eval's index says of a task; SetupError where the name stands for several, or for a pattern."""
    entry = manager.task_index.get(name, {"type": "pattern"})
    if entry["type"] != "task":
        raise SetupError(f"{name}: is a {entry['type']}; a sweep takes single tasks, so name those in it")
    return entry


class Variant(NamedTuple):
    """A task with settings of its own."""

    task: str
    settings: Mapping[str, Any]
    """Generation settings: `max_frames`, `fps`, `frame_rule`, `cubing`, `frames_per_cube`, `max_cubes`."""

    @property
    def name(self) -> str:
        """Its name in results: `qsv_demo@max_frames=64,fps=2`."""
        said = ",".join(f"{name}={value}" for name, value in self.settings.items())
        return f"{self.task}{MARK}{said}" if said else self.task

    def build(self, manager: "TaskManager") -> "ConfigurableMessagesTask":
        """Return lmms-eval's task.

        Raises:
            SetupError: the name stands for no single task.
        """
        from lmms_eval.api.task import ConfigurableMessagesTask
        from lmms_eval.utils import load_yaml_config

        config = load_yaml_config(single_task(self.task, manager)["yaml_path"], mode="full")
        generation = {"until": [], **(config.get("generation_kwargs") or {}), **self.settings}
        own = {"dataset_name": self.name} if config.get("dataset_name") == self.task else {}
        config |= {"task": self.name, "generation_kwargs": generation, **own}
        return ConfigurableMessagesTask(config=config, model_name=manager.model_name)
