"""The one path of all benchmarks: a sample to a request, a reply to a row, rows to a summary.

A task is data: what is asked (`ask`), how replies are read (`scorer`) and how scores are averaged (`average`). Its task
file names the functions of `functions.py`, which find the task by the name in each row of its table.
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
"""The usual last line of a question with options."""


class TableSource(TypingProtocol):
    """Where a benchmark's samples come from."""

    @property
    def name(self) -> str:
        """Its folder below `$QSV_DATA`."""
        ...

    def samples(self, set_name: str) -> list[Sample]:
        """Return the samples of one of its sets; SetupError where they are nowhere."""
        ...

    def unchecked_samples(self, set_name: str) -> list[Sample]:
        """Return the samples as they are, even if ids repeat."""
        ...

    def load_images(self, set_name: str, ids: Sequence[str]) -> "Dataset | None":
        """Return the image columns of these samples, in this order; None for a benchmark without images."""
        ...


class TaskPrompt(NamedTuple):
    """What a model is asked, beside the media."""

    text: str
    system: str = ""


@dataclass(frozen=True)
class Task:
    """A benchmark as it is asked and scored."""

    name: str
    """In lmms-eval."""
    benchmark: TableSource
    set_name: str
    """Which of the benchmark's sets."""
    prompt: Callable[[Sample], TaskPrompt]
    scorer: Scorer
    average: Average = POOLED
    fields: tuple[str, ...] = ()
    """What the summary is broken down by."""
    extra_averages: Mapping[str, Average] = field(default_factory=dict)
    """Further official figures, by name."""
    submission: Callable[[Sequence[SampleResult]], Any] | None = None
    """Gives what the authors' server wants of replies whose answers are not published."""
    find_video: Callable[[SampleVideo], str] | None = None
    """Gives a video's path where that is not simply what the sample says."""

    def samples(self) -> list[Sample]:
        """Return its samples, in an order of which any beginning (`--limit`) holds all groups of the first field."""
        samples = self.benchmark.samples(self.set_name)
        return interleave(samples, self.fields[0]) if self.fields else samples

    def summarise(self, rows: Iterable[SampleResult], judge: str | None = None) -> TaskSummary:
        """Sum scored rows up, and put the protocol beside the score."""
        summary = summarise(rows, self.average, self.fields, self.extra_averages)
        protocol = self.protocol(judge)
        summary["protocol"] = CompactDict(protocol.as_dict(), protocol.hash)
        return summary

    def protocol(self, judge: str | None = None) -> Protocol:
        """Return everything that moves this task's score in this process."""
        return Protocol(
            task=plain_name(self.name),
            prompt=_form(self.prompt),
            generation=run_context.generation_of(self.name),
            answers=run_context.answers_of(self.name),
            scoring=ScoringSettings(
                self.scorer.name, self.average.rule, judge if isinstance(self.scorer, JudgedAnswer) else None
            ),
            environment=library_versions() | run_context.environment(),
        )


def _form(build: Callable[[Sample], TaskPrompt]) -> str:
    """Return a task's prompt for a sample of names, its system message first."""
    sample = Sample(id="{id}", question="{question}", options=("{option A}", "{option B}"))
    prompt = build(sample.model_copy(update={"notes": _Named()}))
    return f"{prompt.system}\n\n{prompt.text}" if prompt.system else prompt.text


class _Named(dict[str, str]):
    """Notes that hold every name, as itself in braces."""

    def __missing__(self, name: str) -> str:
        return f"{{{name}}}"

    def get(self, name: str, default: Any = None) -> Any:
        return self[name]


def interleave(samples: Sequence[Sample], field: str) -> list[Sample]:
    """Take turns between a field's groups, a cluster at a time: questions on a video stay together."""
    queues: dict[str, dict[str, list[Sample]]] = {}
    for sample in samples:
        group = queues.setdefault(str(sample.groups.get(field, "")), {})
        group.setdefault(sample.cluster or sample.id, []).append(sample)
    turns = [list(clusters.values()) for clusters in queues.values()]
    longest = max(map(len, turns), default=0)
    return [sample for turn in range(longest) for group in turns if turn < len(group) for sample in group[turn]]
