"""Definition of a task as data: a benchmark's samples, the prompt, the scorer and the official average.

The hooks in `lmms_hooks.py` find the task by the name in each row of its table.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from typing import Protocol as TypingProtocol

from qsv_eval.data.sample import Sample, SampleVideo
from qsv_eval.model_adapters.engine import run_context
from qsv_eval.model_adapters.variant_name import plain_name
from qsv_eval.protocol import Protocol, ScoringSettings, library_versions
from qsv_eval.scoring.averages import POOLED, Average
from qsv_eval.scoring.sample_result import SampleResult
from qsv_eval.scoring.scorers import JudgedAnswer, Scorer
from qsv_eval.scoring.summary import CompactDict, TaskSummary, summarise

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["ANSWER_BY_LETTER", "TableSource", "Task", "TaskPrompt", "interleave"]


ANSWER_BY_LETTER: Final = "Answer with the option's letter from the given choices directly."
"""Usual last line of a prompt with options."""


class TableSource(TypingProtocol):
    """Interface of a benchmark that tasks read samples from."""

    @property
    def name(self) -> str:
        """Name of its folder below `$QSV_DATA`."""
        ...

    def samples(self, set_name: str) -> list[Sample]:
        """Return the samples of a set; SetupError if they are not found or ids repeat."""
        ...

    def unchecked_samples(self, set_name: str) -> list[Sample]:
        """Return the samples of a set without checks."""
        ...

    def load_images(self, set_name: str, ids: Sequence[str]) -> "Dataset | None":
        """Return the image columns of these samples in this order; None for a benchmark without images."""
        ...


class TaskPrompt(NamedTuple):
    """Text and system prompt of a request."""

    text: str
    system: str = ""


@dataclass(frozen=True)
class Task:
    """Benchmark with prompt, scorer and average."""

    name: str
    """Name in lmms-eval."""
    benchmark: TableSource
    set_name: str
    """Name of one of the benchmark's sets."""
    prompt: Callable[[Sample], TaskPrompt]
    scorer: Scorer
    average: Average = POOLED
    fields: tuple[str, ...] = ()
    """Fields of `Sample.groups` by which the summary is broken down."""
    extra_averages: Mapping[str, Average] = field(default_factory=dict)
    """Further official averages by name."""
    submission: Callable[[Sequence[SampleResult]], Any] | None = None
    """Builder of the file for the authors' evaluation server, if answers are not published."""
    find_video: Callable[[SampleVideo], str] | None = None
    """Function that returns a video's path, if that is not the path in the sample."""

    def samples(self) -> list[Sample]:
        """Return the samples so that the first N (`--limit N`) cover all groups of the first field."""
        samples = self.benchmark.samples(self.set_name)
        return interleave(samples, self.fields[0]) if self.fields else samples

    def summarise(self, rows: Iterable[SampleResult], judge: str | None = None) -> TaskSummary:
        """Summarise scored rows, and add the protocol."""
        summary = summarise(rows, self.average, self.fields, self.extra_averages)
        protocol = self.protocol(judge)
        summary["protocol"] = CompactDict(protocol.as_dict(), protocol.hash)
        return summary

    def protocol(self, judge: str | None = None) -> Protocol:
        """Return all settings of this process that affect this task's score."""
        return Protocol(
            task=plain_name(self.name),
            prompt=_prompt_template(self.prompt),
            generation=run_context.generation_settings(self.name),
            answers=run_context.answer_settings(self.name),
            scoring=ScoringSettings(
                self.scorer.name, self.average.rule, judge if isinstance(self.scorer, JudgedAnswer) else None
            ),
            environment=library_versions() | run_context.environment(),
        )


def _prompt_template(build: Callable[[Sample], TaskPrompt]) -> str:
    """Return the prompt of a sample whose values are placeholders, system prompt first."""
    sample = Sample(id="{id}", question="{question}", options=("{option A}", "{option B}"))
    prompt = build(sample.model_copy(update={"notes": _PlaceholderNotes()}))
    return f"{prompt.system}\n\n{prompt.text}" if prompt.system else prompt.text


class _PlaceholderNotes(dict[str, str]):
    """Notes with a placeholder, `{name}`, for every name."""

    def __missing__(self, name: str) -> str:
        return f"{{{name}}}"

    def get(self, name: str, default: Any = None) -> Any:
        return self[name]


def interleave(samples: Sequence[Sample], field: str) -> list[Sample]:
    """Interleave the groups of a field cluster by cluster, so that samples of one video stay together."""
    queues: dict[str, dict[str, list[Sample]]] = {}
    for sample in samples:
        group = queues.setdefault(str(sample.groups.get(field, "")), {})
        group.setdefault(sample.cluster or sample.id, []).append(sample)
    groups = [list(clusters.values()) for clusters in queues.values()]
    longest = max(map(len, groups), default=0)
    return [sample for i in range(longest) for clusters in groups if i < len(clusters) for sample in clusters[i]]
