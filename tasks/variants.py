"""Variant of a task, a cell of a sweep: lmms-eval's Task object with other generation settings.

Dict overrides of a task do not work: lmms-eval keeps only the last one of a name, and replaces all generation settings.
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
    """Return a task's entry in lmms-eval's index; SetupError if the name is a group, a tag or a pattern."""
    entry = manager.task_index.get(name, {"type": "pattern"})
    if entry["type"] != "task":
        raise SetupError(f"{name}: is a {entry['type']}, but a sweep takes single tasks; name the tasks in it")
    return entry


class Variant(NamedTuple):
    """Task and the generation settings that differ from its task file."""

    task: str
    settings: Mapping[str, Any]
    """Values for generation_kwargs: `max_frames`, `fps`, `frame_rule`, `cubing`, `frames_per_cube`, `max_cubes`."""

    @property
    def name(self) -> str:
        """Name in results, such as `qsv_demo@max_frames=64,fps=2`."""
        settings = ",".join(f"{name}={value}" for name, value in self.settings.items())
        return f"{self.task}{MARK}{settings}" if settings else self.task

    def build(self, manager: "TaskManager") -> "ConfigurableMessagesTask":
        """Return lmms-eval's task object; SetupError if the name is not a single task."""
        from lmms_eval.api.task import ConfigurableMessagesTask
        from lmms_eval.utils import load_yaml_config

        config = load_yaml_config(single_task(self.task, manager)["yaml_path"], mode="full")
        generation = {"until": [], **(config.get("generation_kwargs") or {}), **self.settings}
        dataset = {"dataset_name": self.name} if config.get("dataset_name") == self.task else {}
        config |= {"task": self.name, "generation_kwargs": generation, **dataset}
        return ConfigurableMessagesTask(config=config, model_name=manager.model_name)
