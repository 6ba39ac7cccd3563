"""Saved replies scored again without a model: with the current rules, another extractor, or a judge.

    qsv-eval score OUT --judge-model gpt-4o-mini

It needs neither the benchmark's files nor a GPU. Earlier results files stay; new ones are written beside them.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.variant_name import plain_name
from qsv_eval.protocol import Protocol
from qsv_eval.run_dirs import only_run
from qsv_eval.scoring.sample_result import SampleResult
from qsv_eval.scoring.scorers import JudgedAnswer, as_reference, score_sample
from qsv_eval.scoring.summary import CompactDict, TaskSummary
from qsv_eval.tasks import task_files
from qsv_eval.tasks.registry import task_named
from qsv_eval.tasks.score_task import score_rows, use_judge, write_submission

if TYPE_CHECKING:
    from qsv_eval.judge import Agreement
    from qsv_eval.judge.settings import JudgeSettings

__all__ = ["Extractor", "Rescored", "compare_judges", "saved_rows", "score_run"]

Extractor = Literal["strict", "reference"]

_STAMP = "%Y%m%d_%H%M%S"


class Rescored(NamedTuple):
    """Summaries of the tasks, and the results file written."""

    summaries: dict[str, TaskSummary]
    results_file: Path

    @property
    def complete(self) -> bool:
        """Whether every question has a score."""
        return all(summary["complete"] for summary in self.summaries.values())


def score_run(folder: Path, *, extractor: Extractor = "strict", judge: "JudgeSettings | None" = None) -> Rescored:
    """Score the newest replies of each of our tasks of the run below a folder, and write a results file in its folder.

    Raises:
        SetupError: there are none, or those of several runs, or the reference's extractor is asked for where there are
            no letters.
    """
    folder = only_run(folder)
    found = _newest_rows(folder)
    if not found:
        raise SetupError(
            f"{folder}: no saved replies of our tasks (*_samples_qsv_*.jsonl); name a run's --output folder"
        )
    protocols = _stored_protocols(folder)
    stamp = datetime.now(UTC).strftime(_STAMP)
    results = folder / f"{stamp}_results.json"
    if results.exists():
        raise SetupError(f"{results} is there already; wait a second")
    summaries: dict[str, TaskSummary] = {}
    with use_judge(judge):
        for name, rows in found.items():
            summaries[name] = _score_task(name, rows, extractor, protocols.get(name), folder, stamp)
    content = {
        "results": {name: {"alias": name, "outcome,none": summary} for name, summary in summaries.items()},
        "protocols": {name: summary["protocol"] for name, summary in summaries.items()},
        "rescored": {"extractor": extractor, "judge": None if judge is None else judge.model},
        "date": stamp,
    }
    results.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return Rescored(summaries, results)


def compare_judges(folder: Path, one: "JudgeSettings", other: "JudgeSettings") -> dict[str, "Agreement"]:
    """Return how far two judges agree on the newest replies of each task that a judge scores.

    Raises:
        SetupError: there are none, or those of several runs.
    """
    from qsv_eval.judge import agreement, judge_requests
    from qsv_eval.scoring.apply_judge import judge_requests_of

    found: dict[str, Agreement] = {}
    for name, rows in saved_rows(folder).items():
        task = task_named(name)
        if isinstance(task.scorer, JudgedAnswer):
            cases = judge_requests_of(score_sample(row, task.scorer) for row in rows)
            first, second = (judge_requests(cases, judge).verdicts for judge in (one, other))
            found[name] = agreement(first, second)
    if not found:
        raise SetupError(f"{folder}: no saved replies that a judge would score")
    return found


def saved_rows(folder: Path) -> dict[str, list[SampleResult]]:
    """Return the rows of the newest samples file of each of our tasks of the run below a folder.

    Raises:
        SetupError: there are several runs, or a file is damaged.
    """
    return _newest_rows(only_run(folder))


def _newest_rows(folder: Path) -> dict[str, list[SampleResult]]:
    import jsonlines

    newest: dict[str, Path] = {}
    for file in sorted(folder.rglob("*_samples_qsv_*.jsonl"), key=lambda file: file.name):
        newest[file.name.partition("_samples_")[2].removesuffix(".jsonl")] = file
    rows: dict[str, list[SampleResult]] = {}
    for name, file in sorted(newest.items()):
        if plain_name(name) not in task_files():
            continue
        try:
            with jsonlines.open(file) as lines:
                rows[name] = [line["outcome"] for line in lines.iter(type=dict)]
        except (OSError, KeyError, jsonlines.Error) as error:
            raise SetupError(f"{file}: holds no rows of {name} ({error}); is it of an older version?") from error
    return rows


def _score_task(
    name: str,
    rows: Sequence[SampleResult],
    extractor: Extractor,
    stored: Mapping[str, Any] | None,
    folder: Path,
    stamp: str,
) -> TaskSummary:
    task = task_named(name)
    if extractor == "reference" and isinstance(task.scorer, JudgedAnswer):
        raise SetupError(f"{name}: has no letters that the reference's extractor could read; score it with a judge")
    fresh = [score_sample(row, task.scorer) for row in rows]
    if extractor == "reference":
        fresh = [as_reference(row) for row in fresh]
    scored = score_rows(task, fresh)
    protocol = _protocol(scored.summary["protocol"], stored, extractor)
    scored.summary["protocol"] = CompactDict(protocol.as_dict(), protocol.hash)
    lines = [json.dumps({"doc_id": place, "outcome": row}, ensure_ascii=False) for place, row in enumerate(scored.rows)]
    file = folder / f"{stamp}_samples_{name}.jsonl"
    file.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    write_submission(task, scored.rows, folder, stamp)
    return scored.summary


def _protocol(now: Mapping[str, Any], stored: Mapping[str, Any] | None, extractor: Extractor) -> Protocol:
    """Return the protocol of the replies, as it was stored, with the scoring of now."""
    scoring = dict(now["scoring"])
    if extractor == "reference":
        scoring["extractor"] = "reference"
    return Protocol.from_dict({**(stored or now), "scoring": scoring})


def _stored_protocols(folder: Path) -> dict[str, Any]:
    """Return the newest protocol of each task below a folder."""
    found: dict[str, Any] = {}
    for file in sorted(folder.rglob("*_results.json"), key=lambda file: file.name):
        try:
            found |= json.loads(file.read_text("utf-8")).get("protocols", {})
        except (OSError, ValueError) as error:
            raise SetupError(f"{file}: cannot be read ({error}); it is damaged, move it away") from error
    return found
