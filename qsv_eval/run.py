"""One lmms-eval run of Quicksviewer, with our tasks on its path.

    qsv-eval run --tasks videomme --pretrained CHECKPOINT --output OUT

lmms-eval does the work; this module refuses what it can see to be wrong before a model is loaded, keeps the journal in
the output folder, so that the same command resumes, and says at the end whether the numbers are complete.
"""

import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.files import UNFINISHED, atomic_write
from qsv_eval.model_adapters.model_args import ModelArgs
from qsv_eval.model_adapters.variant_name import plain_name
from qsv_eval.protocol import Protocol, ScoringSettings, library_versions
from qsv_eval.run_dirs import LOCK_FILES, RUN_FILE, lock_run
from qsv_eval.task_names import TaskSelection, members, quiet_lmms_eval, select, unknown_task
from qsv_eval.tasks import FOLDER, task_files
from qsv_eval.tasks.registry import task_named
from qsv_eval.tasks.score_task import score_rows, use_judge, write_submission
from qsv_eval.tasks.variants import Variant

if TYPE_CHECKING:
    from lmms_eval.tasks import TaskManager

    from qsv_eval.judge.settings import JudgeSettings
    from qsv_eval.model_adapters.lmms import QuicksviewerChat

__all__ = ["RunReport", "TaskReport", "default_output", "run", "run_name"]

_JOURNAL = "journal"


@dataclass(frozen=True)
class TaskReport:
    """Result of one task."""

    task: str
    metrics: dict[str, Any]
    """All of lmms-eval's metrics of the task, without the filter in their names."""
    failures: int
    """Questions without an answer."""
    degraded: int = 0
    """Answers that rest on fewer frames than asked for, because memory ran out."""
    usage: Mapping[str, Any] = field(default_factory=dict)
    """Cost of the task's answers; see `engine.metrics.summarise_costs`."""

    @property
    def complete(self) -> bool:
        """Whether every question was answered and scored."""
        summary = self.metrics.get("outcome")
        scored = bool(summary["complete"]) if isinstance(summary, Mapping) else True
        return scored and not self.failures


@dataclass(frozen=True)
class RunReport:
    """Result of a run."""

    output: Path
    results_file: Path
    tasks: list[TaskReport]
    asked: int
    """Questions put to the model in this run; the others were known from the journal."""
    damaged: int
    """Answers that rest on a video of which frames could not be decoded."""
    efficiency: Mapping[str, Any]
    """Cost of the run; see `engine.metrics.summarise_efficiency`."""

    @property
    def complete(self) -> bool:
        """Whether every task is."""
        return all(task.complete for task in self.tasks)


def run_name(model: ModelArgs, about: str = "") -> str:
    """Return a name that the same checkpoint and settings always get, so that the same command resumes."""
    digest = hashlib.sha256(json.dumps(model.reply_options, sort_keys=True).encode()).hexdigest()[:8]
    return "-".join(filter(None, [Path(model.pretrained).name, about, digest]))


def default_output(model: ModelArgs) -> Path:
    """Return the folder of a run that names none."""
    return Path("qsv_runs", run_name(model, f"{model.max_frames}f"))


def run(
    tasks: list[str],
    model: ModelArgs,
    output: Path,
    *,
    limit: int | None = None,
    judge: "JudgeSettings | None" = None,
    settings: Sequence[Mapping[str, Any]] = (),
) -> RunReport | None:
    """Run tasks and write results, samples, protocols and journal to `output`.

    Args:
        tasks: names as `select` understands them.
        model: checkpoint and options; where the journal goes is decided here.
        output: a new folder, or that of an earlier run with the same options, which is resumed.
        limit: questions of each task at the most.
        judge: of open answers; without one they stay unscored, and `qsv-eval score` can judge them later.
        settings: of a sweep: each task is asked under each of these, as a variant of its own.

    Returns:
        The report, or None in a process that is not the first of several.

    Raises:
        SetupError: something is wrong that must be put right first; nothing was overwritten.
    """
    selection = select(tasks)
    refuse_foreign_output(output, model)
    _ = model.rule  # refuses what cannot be
    first = int(os.environ.get("RANK", 0)) == 0
    with lock_run(output) if first else nullcontext():
        if first:
            text = f"Starting lmms-eval with {model.pretrained}; every answer goes to {output}"
            print(text, file=sys.stderr, flush=True)
        with use_judge(judge):
            adapter, results = _evaluate(selection, settings, model, output, limit)
    if results is None:
        return None
    results_file = next(output.rglob(f"{results['date']}_results.json"), None)
    if results_file is None:
        raise SetupError(f"{output}: lmms-eval wrote no results file; is the folder writable, the disk full?")
    failures, degraded, usage = adapter.failures(), adapter.degraded(), adapter.usage()
    reports = [
        TaskReport(name, _metrics(values), failures.get(name, 0), degraded.get(name, 0), usage.get(name, {}))
        for name, values in results["results"].items()
    ]
    return RunReport(output, results_file, reports, adapter.sent_requests, adapter.damaged, adapter.efficiency())


def refuse_foreign_output(output: Path, model: ModelArgs) -> None:
    """Refuse an output folder that holds something else, before a model is loaded."""
    marker = output / RUN_FILE
    if marker.is_file():
        held = _read_marker(marker)["options"]
        wanted = model.reply_options
        differing = [
            f"{name} {held.get(name)!r}, not {value!r}" for name, value in wanted.items() if held.get(name) != value
        ]
        if differing:
            raise SetupError(f"{output}: holds another run ({'; '.join(differing)}); choose another --output")
    elif output.exists() and (not output.is_dir() or _other_things(output)):
        raise SetupError(f"{output}: is not empty and holds no qsv-eval run; choose another --output")


def _other_things(output: Path) -> bool:
    """Tell whether there is more than the beginning of a run; its other ranks may be a little ahead of this one."""
    names = {path.name for path in output.iterdir() if path.suffix != UNFINISHED}
    return not names <= LOCK_FILES | {_JOURNAL}


def _claim(output: Path, model: ModelArgs, checkpoint: str) -> None:
    """Write down whose folder this is, or see that the checkpoint is still the one that began it."""
    marker = output / RUN_FILE
    if marker.is_file():
        held = _read_marker(marker)["checkpoint"]
        if held != checkpoint:
            raise SetupError(
                f"{output}: was begun with other files in {model.pretrained} (fingerprint {held}, now {checkpoint}); "
                "choose another --output"
            )
        return
    record = {"options": model.reply_options, "checkpoint": checkpoint}
    with atomic_write(marker, many_writers=True) as draft:
        draft.write_text(json.dumps(record, indent=2) + "\n", "utf-8")


def _read_marker(marker: Path) -> dict[str, Any]:
    try:
        held = json.loads(marker.read_text("utf-8"))
        return {"options": held["options"], "checkpoint": held["checkpoint"]}
    except (ValueError, KeyError, TypeError) as error:
        raise SetupError(
            f"{marker}: is damaged; whose run this is cannot be told, so choose another --output"
        ) from error


def _evaluate(
    selection: TaskSelection, settings: Sequence[Mapping[str, Any]], model: ModelArgs, output: Path, limit: int | None
) -> tuple["QuicksviewerChat", dict[str, Any] | None]:
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    from lmms_eval.evaluator import simple_evaluate
    from lmms_eval.loggers import EvaluationTracker
    from lmms_eval.tasks import TaskManager, get_task_dict
    from lmms_eval.utils import get_datetime_str

    from qsv_eval.model_adapters.lmms import QuicksviewerChat

    quiet_lmms_eval()
    manager = TaskManager(
        "WARNING", include_path=str(FOLDER), include_defaults=selection.foreign, model_name="quicksviewer"
    )
    tasks = _tasks(selection, settings, manager)
    # A data root that is missing is met here, before minutes of loading.
    get_task_dict([task for task in tasks if not isinstance(task, str) or task in task_files()], manager, "chat")
    adapter = QuicksviewerChat(**model.model_dump() | {"journal": output / _JOURNAL})
    _claim(output, model, adapter.settings.checkpoint)
    tracker, stamp = EvaluationTracker(output_path=str(output)), get_datetime_str("UTC")
    results = simple_evaluate(
        model=adapter,
        model_args=f"pretrained={model.pretrained}",
        tasks=tasks,
        task_manager=manager,
        limit=limit,
        batch_size=model.batch_size,
        device=model.device,
        evaluation_tracker=tracker,
        log_samples=True,
        verbosity="WARNING",
        datetime_str=stamp,
        bootstrap_iters=0,
    )
    if results is not None:
        samples = results.pop("samples")
        results["results"] = _in_order(results["results"], tasks)
        _settle(samples, output, stamp)
        # lmms-eval knows of a model that it is given only how Python prints it.
        results["config"]["model"] = tracker.general_config_tracker.model_source = "quicksviewer"
        results |= {"efficiency": adapter.efficiency(), "usage": adapter.usage(), "degraded": adapter.degraded()}
        results["failures"] = adapter.failures()
        results["protocols"] = {name: _protocol(name, values) for name, values in results["results"].items()}
        tracker.save_results_aggregated(results=results, samples=samples, datetime_str=stamp)
        for name in results["configs"]:
            tracker.save_results_samples(task_name=name, samples=samples[name])
    return adapter, results


def _tasks(selection: TaskSelection, settings: Sequence[Mapping[str, Any]], manager: "TaskManager") -> list[Any]:
    """Return what lmms-eval is to evaluate: names, or a Task object for each name and settings."""
    for name in selection.names:
        if not manager.match_tasks([name]):
            raise unknown_task(name, manager.all_tasks)
    if not settings:
        return list(selection.names)
    return [Variant(name, one).build(manager) for name in members(selection.names) for one in settings]


def _in_order(results: Mapping[str, Any], tasks: Sequence[Any]) -> dict[str, Any]:
    """Return the results of a sweep in the order of its cells; lmms-eval has them by name."""
    names = [task.config.task for task in tasks if not isinstance(task, str)]
    return {name: results[name] for name in [*names, *(name for name in results if name not in names)]}


def _settle(samples: Mapping[str, list[dict[str, Any]]], output: Path, stamp: str) -> None:
    """Bring a judge's verdicts into the samples, where lmms-eval has the rows as they were; none is asked for again."""
    for name in [name for name in samples if plain_name(name) in task_files()]:
        rows = score_rows(task_named(name), [sample["outcome"] for sample in samples[name]]).rows
        for sample, row in zip(samples[name], rows, strict=True):
            sample["outcome"] = row
        write_submission(task_named(name), rows, output, stamp)


def _protocol(task: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the protocol of a task's score; of lmms-eval's own tasks as much as can be known from outside."""
    own = _metrics(values).get("outcome")
    if isinstance(own, Mapping):
        return dict(own["protocol"])
    from qsv_eval.model_adapters.engine import run_context

    return Protocol(
        task=plain_name(task),
        prompt="lmms-eval's own",
        generation=run_context.generation_settings(task),
        answers=run_context.answer_settings(task),
        scoring=ScoringSettings(extractor="lmms-eval's own", average="lmms-eval's own"),
        environment=library_versions() | run_context.environment(),
    ).as_dict()


def _metrics(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name.partition(",")[0]: value for name, value in values.items() if name != "alias"}
