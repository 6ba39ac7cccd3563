"""lmms-eval hooks that the task files name, the same for all tasks; each row of a table names its task.

lmms-eval's YAML cannot read an environment variable. So a task file opens itself as a table of text with the task's
name, and `table` replaces that by the task's table.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from qsv_eval.data.sample import Sample
from qsv_eval.model_adapters.engine.failure import ERROR_REPLY, reason_for
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.scoring.sample_result import SampleResult, new_sample_result
from qsv_eval.scoring.scorers import score_sample
from qsv_eval.scoring.summary import TaskSummary
from qsv_eval.tasks.dataset import SETUP_ERROR, task_table
from qsv_eval.tasks.media import media_parts
from qsv_eval.tasks.registry import task_named
from qsv_eval.tasks.score_task import score_rows

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["doc_to_messages", "doc_to_text", "doc_to_visual", "headline", "process_results", "summarise", "table"]

Doc = Mapping[str, Any]


def table(placeholder: "Dataset") -> "Dataset":
    """Return the table of the task whose name the placeholder has."""
    return task_table(str(placeholder.info.config_name))


def doc_to_text(doc: Doc) -> str:
    """Return the prompt as one text; raise the SetupError of a table that could not be read."""
    if message := doc.get(SETUP_ERROR):
        raise SetupError(message)
    prompt = task_named(doc["task"]).prompt(_sample(doc))
    return f"{prompt.system}\n{prompt.text}" if prompt.system else prompt.text


def doc_to_visual(doc: Doc) -> list[Any]:
    """Return the media for models without chat messages."""
    return [part["url"] for part in media_parts(doc, _sample(doc))]


def doc_to_messages(doc: Doc) -> list[dict[str, Any]]:
    """Return chat messages: the system prompt, if there is one, and the user's turn, media before the question."""
    sample = _sample(doc)
    prompt = task_named(doc["task"]).prompt(sample)
    user = {"role": "user", "content": [*media_parts(doc, sample), {"type": "text", "text": prompt.text}]}
    system = {"role": "system", "content": [{"type": "text", "text": prompt.system}]}
    return [system, user] if prompt.system else [user]


def process_results(doc: Doc, results: Any) -> dict[str, dict[str, Any]]:
    """Score one reply. No reply raises an exception, which would abort lmms-eval's whole run."""
    task, sample, reply = task_named(doc["task"]), _sample(doc), _first_text(results)
    reason = reason_for(doc["task"], sample.id) if reply == ERROR_REPLY else ""
    row = score_sample(new_sample_result(doc["task"], sample, reply, reason), task.scorer)
    # Only the fields that averages need, because lmms-eval logs the value of every metric.
    item = {name: row[name] for name in _FOR_AVERAGES}
    return {
        "accuracy": _metric_item(item, row["score"]),
        "accuracy_reference_extractor": _metric_item(item, row["reference_score"]),
        "outcome": dict(row),
    }


def _metric_item(item: dict[str, Any], score: float | None) -> dict[str, Any]:
    """Return an item of a metric; items without `percent` are not part of lmms-eval's standard errors."""
    return item | {"score": score} | ({} if score is None else {"percent": 100.0 * score})


_FOR_AVERAGES: Final = ("task", "id", "cluster", "groups", "notes", "answer", "score", "wanted", "verdicts")


def headline(items: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the official average of an accuracy; None (N/A in lmms-eval's table) if no item has a score."""
    return task_named(items[0]["task"]).average.of(items) if items else None


def summarise(rows: Sequence[SampleResult]) -> TaskSummary:
    """Return the summary of the metric `outcome`, after judging if a judge is set."""
    return score_rows(task_named(rows[0]["task"]), rows).summary


def _sample(doc: Doc) -> Sample:
    return Sample.model_validate_json(doc["sample"])


def _first_text(results: Any) -> str:
    """Return the first reply of lmms-eval's list of strings, which some filters nest."""
    while isinstance(results, list | tuple):
        results = results[0] if results else None
    return results.strip() if isinstance(results, str) else ""
