"""Scores, protocols and costs of one results file as plain records.

Our tasks store a summary with everything. lmms-eval's own tasks store bare numbers named `metric,filter`: the first
metric that is not a standard error is taken, on its own scale. lmms-eval's standard errors are left out, because they
are computed on raw scores of questions, which are often on another scale.
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

__all__ = ["OFFICIAL", "OWN", "PARTS", "PUBLISHED", "TaskCost", "degraded_counts", "protocol_of", "protocols_of"]
__all__ += ["scores_of", "task_cost"]

OFFICIAL: Final = "official"
OWN: Final = "lmms-eval's own"
PUBLISHED: Final = "published"

_PROMPT_FIELDS: Final = ("system_instruction", "chat_template_sha", "fewshot_as_multiturn")
"""Run settings of lmms-eval that change its prompts."""

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
    """Yield the scores of a file, a task's headline before its groups; `degraded` as from `degraded_counts`."""
    parents = _parent_groups(file.content)
    for task, metrics in file.content["results"].items():
        if (summary := _summary(file, task, metrics)) is not None:
            yield from _summary_scores(task, summary, degraded.get(task, 0))
        elif task in parents:
            yield _metric_score(file.content, task) | {"task": _root(task, parents), "field": "subtask", "group": task}
        else:
            yield _metric_score(file.content, task)


def degraded_counts(run: ResultsFile) -> dict[str, int]:
    """Return the number of answers on fewer frames by task; rescored files do not have it, only the run's own."""
    counts = mapping(run.content.get("degraded"))
    return {task: int(counts.get(task, 0)) for task in run.content["results"]}


def protocols_of(file: ResultsFile, runs: Sequence[ResultsFile] = ()) -> dict[str, Protocol]:
    """Return the protocol of each task of a file, without the subtasks of lmms-eval's own groups.

    `runs` are the results files of the run that answered, newest first, if the file was rescored.
    """
    parents = _parent_groups(file.content)
    tasks = (task for task in file.content["results"] if task not in parents or _is_ours(file, task))
    return {task: protocol_of(file, task, run_with(task, runs or [file])) for task in tasks}


def protocol_of(file: ResultsFile, task: str, run: ResultsFile | None = None) -> Protocol:
    """Return the protocol of one task of a file.

    For models other than Quicksviewer the model's arguments serve as answer settings; they are in the results file of
    the run that answered, which is `run` if the file was rescored.
    """
    summary = _summary(file, task, file.content["results"][task])
    stored = mapping(mapping(file.content.get("protocols")).get(task)) if summary is None else summary.protocol
    try:
        protocol = Protocol.from_dict(stored) if stored else _own_protocol(file.content, task)
    except (KeyError, TypeError) as error:
        raise SetupError(
            f"{file.path}: the protocol of {task} is of an unknown format ({error}): move the file away"
        ) from error
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


def _summary_scores(task: str, summary: _SummaryLine, degraded: int) -> Iterator[Record]:
    common = {"task": task, "kind": OFFICIAL, "metric": "outcome", "scale": summary.scale, "higher_is_better": True}
    headline = summary.model_dump(include={"average", "micro", "macro", "clusters", "unparsed_share"})
    yield common | _score_fields(summary) | headline | {"degraded": degraded}
    fields = {"also": summary.also, **summary.breakdown} if summary.also else summary.breakdown
    for field, groups in fields.items():
        for group, score in groups.items():
            yield common | _score_fields(score) | {"field": field, "group": group}


def _score_fields(score: _ScoreLine) -> Record:
    low, high = score.interval or (None, None)
    counts = {outcome.value: score.counts.get(outcome.value, 0) for outcome in Outcome}
    return (
        score.model_dump(include={"n", "value", "complete", "lowest", "highest"}) | counts | {"low": low, "high": high}
    )


def _metric_score(content: Mapping[str, Any], task: str) -> Record:
    """Return the first number of one of lmms-eval's own tasks; a group without a mean has none."""
    for name, value in content["results"][task].items():
        metric = name.partition(",")[0]
        if isinstance(value, int | float) and not isinstance(value, bool) and "_stderr" not in metric:
            better = mapping(mapping(content.get("higher_is_better")).get(task)).get(metric)
            return _own_score(content, task, name, better is not False) | {
                "value": value if math.isfinite(value) else None
            }
    return _own_score(content, task, "", True) | {"value": None}


def _own_score(content: Mapping[str, Any], task: str, metric: str, higher_is_better: bool) -> Record:
    n, failures = _sample_count(content, task), _failure_count(content, task)
    score = {"task": task, "kind": OWN, "metric": metric, "n": n, "higher_is_better": higher_is_better}
    # lmms-eval's own tasks count a question without a reply as wrong, so the number is incomplete.
    return score | ({"error": failures, "complete": False} if failures else {})


def _sample_count(content: Mapping[str, Any], task: str) -> int | None:
    """Return the number of questions; that of a group is the sum over its tasks."""
    samples = mapping(content.get("n-samples"))
    counts = [mapping(samples.get(leaf)).get("effective") for leaf in _leaves(content, task)]
    known = [count for count in counts if isinstance(count, int)]
    return sum(known) if known else None


def _failure_count(content: Mapping[str, Any], task: str) -> int:
    """Return the number of questions without a reply, 0 if the run does not state it."""
    failures = mapping(content.get("failures"))
    return sum(int(failures.get(leaf, 0)) for leaf in _leaves(content, task))


def _leaves(content: Mapping[str, Any], task: str) -> list[str]:
    """Return the tasks of a group; a task is its own only leaf."""
    subtasks, visited, pending = mapping(content.get("group_subtasks")), list[str](), [task]
    while pending:
        name = pending.pop()
        if name not in visited:
            visited.append(name)
            pending += subtasks.get(name) or []
    return [name for name in visited if not subtasks.get(name)]


def _parent_groups(content: Mapping[str, Any]) -> dict[str, str]:
    """Return the group of each of lmms-eval's subtasks."""
    groups = mapping(content.get("group_subtasks"))
    return {child: group for group, children in groups.items() if group in content["results"] for child in children}


def _root(task: str, parents: Mapping[str, str]) -> str:
    visited = {task}
    while (parent := parents.get(task)) is not None and parent not in visited:
        task = parent
        visited.add(task)
    return task


# ---- protocols


def _own_protocol(content: Mapping[str, Any], task: str) -> Protocol:
    """Return the protocol of one of lmms-eval's own tasks, as far as the results file states it."""
    config = mapping(mapping(content.get("configs")).get(task))
    prompt = {name: config[name] for name in ("lmms_eval_specific_kwargs", "description") if config.get(name)}
    prompt |= {name: content[name] for name in _PROMPT_FIELDS if content.get(name)}
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
    """Return the protocol with the model's arguments as answer settings, if it has none."""
    if protocol.answers is not None:
        return protocol
    from_config = mapping(mapping(mapping(run.content.get("configs")).get(protocol.task)).get("generation_kwargs"))
    config = mapping(run.content.get("config"))
    generation = dict(protocol.generation or from_config)
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
"""Parts of the time of an answer, each with its stages of `model_adapters.stage_timer`; decoding runs in parallel."""


class TaskCost(NamedTuple):
    """Frames, tokens and seconds per question of one task of a run; means, unless stated otherwise."""

    answers: int
    """Number of answers."""
    frames: float
    """Frames used."""
    frames_p5: float
    frames_p95: float
    cubes: float
    visual_tokens: float
    prompt_tokens: float
    """All tokens of the prompt."""
    tokens_per_frame: float | None
    """Visual tokens divided by frames, each summed over all answers; None if no frames were used."""
    read_s: float
    """Seconds of decoding, in the background."""
    seconds: Mapping[str, float]
    """Seconds of the answering thread by `PARTS`."""

    @property
    def total_s(self) -> float:
        """Seconds of the answering thread."""
        return sum(self.seconds.values())


def task_cost(stored: Mapping[str, Any]) -> TaskCost | None:
    """Return the costs that `engine.metrics.summarise_costs` stored; None if there are none."""
    if not stored:
        return None
    frames, stages = stored["frames"], stored["seconds"]
    means = ("answers", "cubes", "visual_tokens", "prompt_tokens", "tokens_per_frame", "read_s")
    return TaskCost(
        frames=frames["mean"],
        frames_p5=frames["p5"],
        frames_p95=frames["p95"],
        seconds={part: sum(stages.get(stage, 0.0) for stage in of_part) for part, of_part in PARTS.items()},
        **{name: stored[name] for name in means},
    )
