"""What the task files name: lmms-eval's hooks, the same for all tasks. Each row of a table says which task it is of.

lmms-eval's YAML cannot name a folder by an environment variable. So a task file opens itself as a table of text, which
costs nothing, with the task's name as the table's, and `table` puts the real table in its place.
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
    """Return a task's questions. lmms-eval passes the placeholder, whose name is the task's."""
    return task_table(str(placeholder.info.config_name))


def doc_to_text(doc: Doc) -> str:
    """Return the prompt. lmms-eval asks for the first row's when it builds the task."""
    if message := doc.get(SETUP_ERROR):
        raise SetupError(message)
    prompt = task_named(doc["task"]).prompt(_sample(doc))
    return f"{prompt.system}\n{prompt.text}" if prompt.system else prompt.text


def doc_to_visual(doc: Doc) -> list[Any]:
    """Return the media of a simple model's request."""
    return [part["url"] for part in media_parts(doc, _sample(doc))]


def doc_to_messages(doc: Doc) -> list[dict[str, Any]]:
    """Return a chat model's request: the system's turn, if there is one, and the user's, media before the question."""
    sample = _sample(doc)
    prompt = task_named(doc["task"]).prompt(sample)
    turn = {"role": "user", "content": [*media_parts(doc, sample), {"type": "text", "text": prompt.text}]}
    system = {"role": "system", "content": [{"type": "text", "text": prompt.system}]}
    return [system, turn] if prompt.system else [turn]


def process_results(doc: Doc, results: Any) -> dict[str, dict[str, Any]]:
    """Score one reply. Raises for nothing that a model returns: lmms-eval would abort the whole run."""
    task, sample, reply = task_named(doc["task"]), _sample(doc), _first_text(results)
    reason = reason_for(doc["task"], sample.id) if reply == ERROR_REPLY else ""
    row = score_sample(new_sample_result(doc["task"], sample, reply, reason), task.scorer)
    # Only so much of the row as averages need: lmms-eval logs every metric's value.
    light = {name: row[name] for name in _FOR_AVERAGES}
    return {
        "accuracy": _scored(light, row["score"]),
        "accuracy_reference_extractor": _scored(light, row["reference_score"]),
        "outcome": dict(row),
    }


def _scored(light: dict[str, Any], score: float | None) -> dict[str, Any]:
    """Return an item of a metric; lmms-eval leaves those without `percent` out of its standard errors."""
    return light | {"score": score} | ({} if score is None else {"percent": 100.0 * score})


_FOR_AVERAGES: Final = ("task", "id", "cluster", "groups", "notes", "answer", "score", "wanted", "verdicts")


def headline(items: Sequence[Mapping[str, Any]]) -> float | None:
    """Aggregate the two accuracies by the official average, None where nothing was scored.

    lmms-eval prints None as N/A and stores null; NaN would print as a number and is not JSON.
    """
    return task_named(items[0]["task"]).average.of(items) if items else None


def summarise(rows: Sequence[SampleResult]) -> TaskSummary:
    """Aggregate the metric `outcome`, after a judge has seen what waits for one, where a judge was named."""
    return score_rows(task_named(rows[0]["task"]), rows).summary


def _sample(doc: Doc) -> Sample:
    return Sample.model_validate_json(doc["sample"])


def _first_text(results: Any) -> str:
    """Return the first reply: lmms-eval hands over a list of strings, and a list in a list with some filters."""
    while isinstance(results, list | tuple):
        results = results[0] if results else None
    return results.strip() if isinstance(results, str) else ""
