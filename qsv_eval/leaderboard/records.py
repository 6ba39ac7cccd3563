"""One results file as plain records: each task's score, those of its groups, and the protocol they were obtained by.

Our tasks store a summary, which has everything. lmms-eval's own tasks have bare numbers, named `metric,filter`: the
first that is no standard error is taken, on whatever scale it is. Its standard errors are left out: lmms-eval computes
them on the raw scores of questions, which are often not on the scale of the number beside them.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ValidationError

from qsv_eval.leaderboard.result_files import ResultsFile, mapping, model_arguments, run_with
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.protocol import Protocol, ScoringSettings
from qsv_eval.scoring.sample_result import Outcome

__all__ = [
    "OFFICIAL",
    "OWN",
    "PARTS",
    "PUBLISHED",
    "TaskCost",
    "degraded_of",
    "protocol_of",
    "protocols_of",
    "scores_of",
    "task_cost",
]


OFFICIAL: Final = "official"
OWN: Final = "lmms-eval's own"
PUBLISHED: Final = "published"

_OF_PROMPT: Final = ("system_instruction", "chat_template_sha", "fewshot_as_multiturn")
"""Run settings of lmms-eval that move its prompts."""

Record = dict[str, Any]


class _ScoreLine(BaseModel):
    """Part of a stored `ScoreSummary` that the leaderboard reads."""

    n: int
    counts: dict[str, int]
    value: float | None
    interval: tuple[float, float] | None
    complete: bool
    lowest: float | None
    highest: float | None


class _SummaryLine(_ScoreLine):
    """Part of a stored `TaskSummary` that the leaderboard reads."""

    average: str
    scale: str
    micro: float | None
    macro: float | None
    clusters: int
    unparsed_share: float | None
    also: dict[str, _ScoreLine]
    breakdown: dict[str, dict[str, _ScoreLine]]
    protocol: dict[str, Any]


def scores_of(file: ResultsFile, degraded: Mapping[str, int]) -> Iterator[Record]:
    """Yield the scores of a file, a task's headline before its groups; `degraded` is what `degraded_of` says."""
    parents = _parents(file.content)
    for task, metrics in file.content["results"].items():
        if (summary := _summary(file, task, metrics)) is not None:
            yield from _of_summary(task, summary, degraded.get(task, 0))
        elif task in parents:
            yield _of_metric(file.content, task) | {"task": _root(task, parents), "field": "subtask", "group": task}
        else:
            yield _of_metric(file.content, task)


def degraded_of(run: ResultsFile) -> dict[str, int]:
    """Return how many answers to each of a run's tasks rest on fewer frames; a later scoring does not say so again."""
    counts = mapping(run.content.get("degraded"))
    return {task: int(counts.get(task, 0)) for task in run.content["results"]}


def protocols_of(file: ResultsFile, runs: Sequence[ResultsFile] = ()) -> dict[str, Protocol]:
    """Return the protocol of each task of a file; the parts of a task that is lmms-eval's own go by that of the whole.

    `runs` are the results of the run that the file is about, the newest first, where that is a later scoring.
    """
    parents = _parents(file.content)
    tasks = (task for task in file.content["results"] if task not in parents or _is_ours(file, task))
    return {task: protocol_of(file, task, run_with(task, runs or [file])) for task in tasks}


def protocol_of(file: ResultsFile, task: str, run: ResultsFile | None = None) -> Protocol:
    """Return the protocol of one task of a file.

    Of another model than Quicksviewer, the model's arguments stand in the place of what moves the answers; where the
    file is a later scoring, `run` is the one that it is about, which has them.
    """
    summary = _summary(file, task, file.content["results"][task])
    stored = mapping(mapping(file.content.get("protocols")).get(task)) if summary is None else summary.protocol
    try:
        protocol = Protocol.from_dict(stored) if stored else _own_protocol(file.content, task)
    except (KeyError, TypeError) as error:
        raise SetupError(f"{file.path}: the protocol of {task} is of an unknown format ({error})") from error
    return _completed(protocol, run or file)


# ---- scores


def _is_ours(file: ResultsFile, task: str) -> bool:
    return _summary(file, task, file.content["results"][task]) is not None


def _summary(file: ResultsFile, task: str, metrics: Mapping[str, Any]) -> _SummaryLine | None:
    for value in metrics.values():
        if isinstance(value, Mapping) and "counts" in value:
            try:
                return _SummaryLine.model_validate(value)
            except ValidationError as error:
                first = error.errors()[0]
                raise SetupError(
                    f"{file.path}: the summary of {task} is of an unknown format "
                    f"({'.'.join(map(str, first['loc']))}: {first['msg']}); score it again with `qsv-eval score`"
                ) from error
    return None


def _of_summary(task: str, summary: _SummaryLine, degraded: int) -> Iterator[Record]:
    common = {"task": task, "kind": OFFICIAL, "metric": "outcome", "scale": summary.scale, "higher_is_better": True}
    headline = summary.model_dump(include={"average", "micro", "macro", "clusters", "unparsed_share"})
    yield common | _of_figure(summary) | headline | {"degraded": degraded}
    fields = {"also": summary.also, **summary.breakdown} if summary.also else summary.breakdown
    for field, groups in fields.items():
        for group, figure in groups.items():
            yield common | _of_figure(figure) | {"field": field, "group": group}


def _of_figure(figure: _ScoreLine) -> Record:
    low, high = figure.interval or (None, None)
    counts = {outcome.value: figure.counts.get(outcome.value, 0) for outcome in Outcome}
    plain = figure.model_dump(include={"n", "value", "complete", "lowest", "highest"})
    return plain | counts | {"low": low, "high": high}


def _of_metric(content: Mapping[str, Any], task: str) -> Record:
    """Return the first number of a task that is lmms-eval's own; there may be none, as in a group without a mean."""
    for name, value in content["results"][task].items():
        metric = name.partition(",")[0]
        if isinstance(value, int | float) and not isinstance(value, bool) and "_stderr" not in metric:
            better = mapping(mapping(content.get("higher_is_better")).get(task)).get(metric)
            return _own(content, task, name, better is not False) | {"value": value if math.isfinite(value) else None}
    return _own(content, task, "", True) | {"value": None}


def _own(content: Mapping[str, Any], task: str, metric: str, higher_is_better: bool) -> Record:
    asked, failed = _asked(content, task), _failed(content, task)
    said = {"task": task, "kind": OWN, "metric": metric, "n": asked, "higher_is_better": higher_is_better}
    # lmms-eval's own tasks count a question without an answer as wrong: such a number is none yet.
    return said | ({"error": failed, "complete": False} if failed else {})


def _asked(content: Mapping[str, Any], task: str) -> int | None:
    """Return how many questions were asked; of a group, lmms-eval counts those of its tasks alone."""
    samples = mapping(content.get("n-samples"))
    counts = [mapping(samples.get(leaf)).get("effective") for leaf in _leaves(content, task)]
    known = [count for count in counts if isinstance(count, int)]
    return sum(known) if known else None


def _failed(content: Mapping[str, Any], task: str) -> int:
    """Return how many questions have no answer, as far as the run says so."""
    failures = mapping(content.get("failures"))
    return sum(int(failures.get(leaf, 0)) for leaf in _leaves(content, task))


def _leaves(content: Mapping[str, Any], task: str) -> list[str]:
    """Return the tasks of a group, and of a task itself."""
    below, found, left = mapping(content.get("group_subtasks")), list[str](), [task]
    while left:
        one = left.pop()
        if one not in found:
            found.append(one)
            left += below.get(one) or []
    return [one for one in found if not below.get(one)]


def _parents(content: Mapping[str, Any]) -> dict[str, str]:
    """Return of which group each of lmms-eval's subtasks is a part."""
    groups = mapping(content.get("group_subtasks"))
    return {child: group for group, children in groups.items() if group in content["results"] for child in children}


def _root(task: str, parents: Mapping[str, str]) -> str:
    seen = {task}
    while (above := parents.get(task)) is not None and above not in seen:
        task = above
        seen.add(task)
    return task


# ---- protocols


def _own_protocol(content: Mapping[str, Any], task: str) -> Protocol:
    """Return what a results file says of the protocol of a task that is lmms-eval's own."""
    config = mapping(mapping(content.get("configs")).get(task))
    prompt = {name: config[name] for name in ("lmms_eval_specific_kwargs", "description") if config.get(name)}
    prompt |= {name: content[name] for name in _OF_PROMPT if content.get(name)}
    if shots := mapping(content.get("n-shot")).get(task):
        prompt["n-shot"] = shots
    version = mapping(content.get("versions")).get(task)
    return Protocol(
        task=task,
        prompt=f"{OWN}, version {version} {json.dumps(prompt, sort_keys=True) if prompt else ''}".strip(),
        generation={},
        answers=None,
        scoring=ScoringSettings(extractor=OWN, average=OWN),
        environment={"lmms-eval": str(content.get("lmms_eval_version"))},
    )


def _completed(protocol: Protocol, run: ResultsFile) -> Protocol:
    """Return the protocol with the model's arguments, where it says nothing of what moves the answers."""
    if protocol.answers is not None:
        return protocol
    stated = mapping(mapping(mapping(run.content.get("configs")).get(protocol.task)).get("generation_kwargs"))
    config = mapping(run.content.get("config"))
    generation = dict(protocol.generation or stated)
    if generation.get("do_sample") and config.get("torch_seed") is not None:
        generation["seed"] = config["torch_seed"]
    return replace(
        protocol, generation=generation, answers={"model": config.get("model"), **model_arguments(run.content)}
    )


PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "vision tower": ("vit",),
    "perception": ("cubing",),
    "language model": ("prefill", "generation"),
    "waiting for frames": ("wait",),
    "other": ("other",),
}
"""The parts of an answer's time, each with its stages of `model_adapters.stopwatch`; decoding goes on beside them."""


class TaskCost(NamedTuple):
    """Frames, tokens and seconds of the answers to one task of a run."""

    answers: int
    frames: float
    """Frames really used of a question: the mean."""
    frames_p5: float
    frames_p95: float
    cubes: float
    visual_tokens: float
    """Visual tokens of a question: the mean."""
    prompt_tokens: float
    """All tokens of a question's prompt: the mean."""
    tokens_per_frame: float | None
    """Visual tokens by frames, both summed up over all answers; None where no frames were used."""
    read_s: float
    """Seconds of decoding for a question, in the background."""
    seconds: Mapping[str, float]
    """Seconds of the answering thread for a question, by `PARTS`."""

    @property
    def total_s(self) -> float:
        """Seconds of the answering thread for a question."""
        return sum(self.seconds.values())


def task_cost(stored: Mapping[str, Any]) -> TaskCost | None:
    """Read what `engine.usage.summarise_use` wrote; None where there is nothing."""
    if not stored:
        return None
    frames, stages = stored["frames"], stored["seconds"]
    return TaskCost(
        frames=frames["mean"],
        frames_p5=frames["p5"],
        frames_p95=frames["p95"],
        seconds={name: sum(stages.get(one, 0.0) for one in of) for name, of in PARTS.items()},
        **{
            name: stored[name]
            for name in ("answers", "cubes", "visual_tokens", "prompt_tokens", "tokens_per_frame", "read_s")
        },
    )
