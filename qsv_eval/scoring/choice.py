"""The one path for multiple-choice benchmarks: a question to a request, a reply to an outcome, outcomes to metrics.

A benchmark is a `ChoiceTask`; its task file refers to the bound methods. Three metrics come out of every question:
`accuracy` (the headline, ours), `accuracy_reference_extractor` (the same replies read as the reference reads them), and
`outcome` (everything about the sample; summed up, everything about the run).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from qsv_eval.model_adapters.engine import session
from qsv_eval.model_adapters.engine.failure import ERROR_REPLY, reason_for
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.protocol import Protocol, Scoring, library_versions
from qsv_eval.scoring.breakdown import Brief, OutcomeSummary, summarise
from qsv_eval.scoring.extract import EXTRACTOR, Extracted, extract_letter
from qsv_eval.scoring.outcome import Outcome
from qsv_eval.scoring.reference import reference_letter
from qsv_eval.scoring.sources import SETUP_ERROR

__all__ = ["ChoiceTask", "mean_score"]

Doc = Mapping[str, Any]

_SCORES: Final = {True: 100.0, False: 0.0}
"""On the headline's scale, so that lmms-eval's standard errors are too (spec/benchmarks.md section 11.2)."""


class _Verdict(NamedTuple):
    outcome: Outcome
    extracted: Extracted
    reason: str
    """Why there is no score; empty where there is one."""


@dataclass(frozen=True)
class ChoiceTask:
    """A multiple-choice benchmark over a table with the columns `question_id`, `options` and `answer`."""

    name: str
    """The task's name in lmms-eval, under which the engine notes why a sample failed."""
    prompt: Callable[[Doc], str]
    media: Callable[[Doc], str]
    """Gives the video's path, whether or not it exists: a missing video is one sample's failure, met on reading."""
    cluster_field: str
    """The column that names the video: its questions are not independent, and the standard error allows for it."""
    group_fields: tuple[str, ...]
    """The columns of the breakdown."""
    letters: str = "ABCD"

    def doc_to_text(self, doc: Doc) -> str:
        """Return the prompt. lmms-eval asks for the first row's when it builds the task."""
        if message := doc.get(SETUP_ERROR):
            raise SetupError(message)
        return self.prompt(doc)

    def doc_to_visual(self, doc: Doc) -> list[str]:
        """Return the media of a simple model's request."""
        return [self.media(doc)]

    def doc_to_messages(self, doc: Doc) -> list[dict[str, Any]]:
        """Return a chat model's request: one user turn, the video before the question."""
        video = {"type": "video", "url": self.media(doc)}
        return [{"role": "user", "content": [video, {"type": "text", "text": self.doc_to_text(doc)}]}]

    def process_results(self, doc: Doc, results: Any) -> dict[str, dict[str, Any]]:
        """Score one reply. Raises for nothing that a model returns: lmms-eval would abort the whole run."""
        reply = _first_text(results)
        answer = str(doc.get("answer") or "").strip()
        verdict = self._judge(reply, answer, doc)
        # A failure is not a reply, so neither extractor has anything to say about it.
        reference = "" if verdict.outcome is Outcome.ERROR else reference_letter(reply)
        cluster = {self.cluster_field: doc.get(self.cluster_field)}
        return {
            "accuracy": _scored(verdict.outcome, verdict.outcome is Outcome.CORRECT) | cluster,
            "accuracy_reference_extractor": _scored(verdict.outcome, reference == answer) | cluster,
            "outcome": {
                "id": str(doc.get("question_id", "")),
                "outcome": verdict.outcome.value,
                "reply": reply,
                "extracted": verdict.extracted.letter,
                "rule": verdict.extracted.rule,
                "answer": answer,
                "reference_extracted": reference,
                "reason": verdict.reason,
                **{field: doc.get(field, "") for field in self.group_fields},
            },
        }

    def summarise(self, rows: Sequence[Mapping[str, Any]]) -> OutcomeSummary:
        """Aggregate the metric `outcome`, and put the protocol beside the score."""
        summary = summarise(rows, self.group_fields)
        protocol = self.protocol()
        summary["protocol"] = Brief(protocol.as_dict(), protocol.hash)
        return summary

    def protocol(self) -> Protocol:
        """Return everything that moves this task's score in this process."""
        fields = {"question": "{question}", "options": [f"{{option {letter}}}" for letter in self.letters]}
        return Protocol(
            task=self.name,
            prompt=self.prompt(fields),
            generation=session.generation_of(self.name),
            answers=session.answers_of(self.name),
            scoring=Scoring(extractor=EXTRACTOR, average="pooled: correct / (n - error - unscored)"),
            environment=library_versions() | session.environment(),
        )

    def _judge(self, reply: str, answer: str, doc: Doc) -> _Verdict:
        if reply == ERROR_REPLY:
            reason = reason_for(self.name, str(doc.get("question_id", "")))
            return _Verdict(Outcome.ERROR, Extracted(None, "error"), reason or "not recorded in this process")
        extracted = extract_letter(reply, self.letters, _texts(doc.get("options")))
        if len(answer) != 1 or answer not in self.letters:
            return _Verdict(Outcome.UNSCORED, extracted, f"the annotated answer {answer!r} is not of {self.letters}")
        if extracted.letter is None:
            return _Verdict(Outcome.EMPTY if extracted.rule == "empty" else Outcome.UNPARSED, extracted, "")
        return _Verdict(Outcome.CORRECT if extracted.letter == answer else Outcome.WRONG, extracted, "")


def mean_score(items: Iterable[Mapping[str, Any]]) -> float | None:
    """Aggregate the two accuracies: the mean over the scored questions, None if there are none.

    lmms-eval prints None as N/A and stores null; NaN would print as a number and is not JSON.
    """
    scores = [item["score"] for item in items if "score" in item]
    return sum(scores) / len(scores) if scores else None


def _scored(outcome: Outcome, correct: bool) -> dict[str, Any]:
    """Return a metric's item; lmms-eval leaves items without `score` out of its standard errors."""
    return {"outcome": outcome.value} | ({"score": _SCORES[correct]} if outcome.is_scored else {})


def _first_text(results: Any) -> str:
    """Return the first reply: lmms-eval hands over a list of strings, and a list in a list with some filters."""
    while isinstance(results, list | tuple):
        results = results[0] if results else None
    return results.strip() if isinstance(results, str) else ""


def _texts(options: Any) -> tuple[str, ...]:
    return tuple(option for option in options if isinstance(option, str)) if isinstance(options, list | tuple) else ()
