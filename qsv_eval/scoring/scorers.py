"""Scorers by kind of answer: a letter, yes or no, a short answer, or a text for a judge."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from qsv_eval.data.letters import LETTERS
from qsv_eval.judge.rubrics import rubric_named
from qsv_eval.scoring.extract import EXTRACTOR, LetterMatch, extract_letter, reference_letter
from qsv_eval.scoring.normalize import visible_text
from qsv_eval.scoring.sample_result import Extraction, Outcome, SampleResult, is_failure, with_extraction
from qsv_eval.scoring.short_answer import NUMBER_EXTRACTOR, cleaned, extract_number, is_number
from qsv_eval.scoring.yesno import YES_NO_EXTRACTOR, extract_yes_no

__all__ = [
    "Choice",
    "ChoiceOrShort",
    "JudgedAnswer",
    "NumberOrShort",
    "Scorer",
    "Short",
    "YesNo",
    "as_reference",
    "score_sample",
]


class Scorer(Protocol):
    """Reads replies of one kind."""

    @property
    def name(self) -> str:
        """Name and version of its rules, for the protocol."""
        ...

    def read(self, row: SampleResult) -> Extraction:
        """Read the reply of a row that is no failure. Raises for nothing that a model returns."""
        ...


def score_sample(row: SampleResult, scorer: Scorer) -> SampleResult:
    """Score one row anew; what an earlier scoring made of it does not count."""
    if is_failure(row):
        return with_extraction(
            row, Extraction(Outcome.ERROR, None, None, "error", reason=row["reason"] or "not recorded")
        )
    return with_extraction(row, scorer.read(row))


@dataclass(frozen=True)
class Choice:
    """One letter of the question's options."""

    name: str = EXTRACTOR
    letters: str = "ABCD"
    """Letters of questions whose options the annotations do not list."""

    def read(self, row: SampleResult) -> Extraction:
        """Compare the letter with the annotated one; beside it, the letter that the reference's extractor reads."""
        letters = LETTERS[: len(row["options"])] or self.letters
        answer, reply = row["answer"].strip().upper(), row["reply"]
        extracted = extract_letter(reply, letters, row["options"])
        reference = reference_letter(reply)
        if len(answer) != 1 or answer not in letters:
            reason = f"the annotated answer {row['answer']!r} is not of {letters}" if answer else "no published answer"
            return Extraction(Outcome.UNSCORED, None, extracted.answer, extracted.rule, reference, None, reason)
        outcome, score = _compare(extracted, answer)
        return Extraction(outcome, score, extracted.answer, extracted.rule, reference, float(reference == answer))


@dataclass(frozen=True)
class YesNo:
    """Yes or no."""

    name: str = YES_NO_EXTRACTOR

    def read(self, row: SampleResult) -> Extraction:
        """Compare with the annotated word."""
        extracted = extract_yes_no(row["reply"])
        outcome, score = _compare(extracted, row["answer"].strip().casefold())
        return Extraction(outcome, score, extracted.answer, extracted.rule)


_RIGHT_FROM: Final = 0.5
"""An answer with at least this grade is counted as `correct` among the outcomes; the average takes the grade itself."""


@dataclass(frozen=True)
class Short:
    """A word or a phrase, graded from 0 to 1 by an official metric."""

    name: str
    grade: Callable[[str, Sequence[str]], float]
    """Function that grades a reply by the accepted answers."""

    def read(self, row: SampleResult) -> Extraction:
        """Grade what the reply says; beside it, as the metric's authors do, the reply as it is."""
        text = cleaned(row["reply"])
        accepted = row["answers"] or ([row["answer"]] if row["answer"] else [])
        if not accepted:
            return Extraction(Outcome.UNSCORED, None, text, "whole reply", reason="no published answer")
        if not text:
            return Extraction(Outcome.EMPTY, 0.0, None, "empty")
        score, raw = self.grade(text, accepted), row["reply"].strip()
        outcome = Outcome.CORRECT if score >= _RIGHT_FROM else Outcome.WRONG
        return Extraction(outcome, score, text, "whole reply", raw, self.grade(raw, accepted))


@dataclass(frozen=True)
class NumberOrShort:
    """A number where the accepted answer is one, else a short answer."""

    short: Short

    @property
    def name(self) -> str:
        """Both names."""
        return f"{self.short.name} of {NUMBER_EXTRACTOR}, or of the words"

    def read(self, row: SampleResult) -> Extraction:
        """Grade the number in the reply; beside it, as the metric's authors do, the reply as it is."""
        whole = self.short.read(row)
        accepted = row["answers"] or [row["answer"]]
        if not Outcome(whole.outcome).is_scored or not any(map(is_number, accepted)):
            return whole
        found = extract_number(row["reply"])
        if found.answer is None:
            outcome = whole.outcome if found.rule == "empty" else Outcome.UNPARSED
            return whole._replace(outcome=outcome, score=0.0, extracted=None, rule=found.rule)
        score = self.short.grade(found.answer, accepted)
        outcome = Outcome.CORRECT if score >= _RIGHT_FROM else Outcome.WRONG
        return whole._replace(outcome=outcome, score=score, extracted=found.answer, rule=found.rule)


@dataclass(frozen=True)
class ChoiceOrShort:
    """A letter where the question has options, else a short answer."""

    short: Short
    choice: Choice = Choice()

    @property
    def name(self) -> str:
        """Both names."""
        return f"{self.choice.name}; without options {self.short.name}"

    def read(self, row: SampleResult) -> Extraction:
        """Read by what the question has."""
        return (self.choice if row["options"] else self.short).read(row)


@dataclass(frozen=True)
class JudgedAnswer:
    """A text that only a judge can score. Until one has, it is unscored."""

    wanted: Callable[[SampleResult], Sequence[str]]
    """The dimensions that a row is judged in."""
    name: str = "judge"

    def read(self, row: SampleResult) -> Extraction:
        """Leave what can be judged to the judge."""
        text = visible_text(row["reply"])
        if not row["answer"] and not row["notes"]:
            return Extraction(Outcome.UNSCORED, None, text, "whole reply", reason="no published answer")
        wanted = self.wanted(row)
        if not text:  # worth the least, without asking
            least = {name: float(rubric_named(name).lowest) for name in wanted}
            return Extraction(Outcome.EMPTY, 0.0, None, "empty", wanted=wanted, verdicts=least)
        return Extraction(Outcome.UNSCORED, None, text, "whole reply", reason="no judge was asked", wanted=wanted)


def as_reference(row: SampleResult) -> SampleResult:
    """Return a row scored by what the reference's extractor reads; one that has no score keeps having none."""
    score = row["reference_score"]
    if score is None or not Outcome(row["outcome"]).is_scored:
        return row
    wrong = Outcome.WRONG if row["reference"] else Outcome.UNPARSED
    return with_extraction(
        row,
        Extraction(
            outcome=Outcome.CORRECT if score == 1 else wrong,
            score=score,
            extracted=row["reference"] or None,
            rule="reference",
            reference=row["reference"],
            reference_score=score,
        ),
    )


def _compare(extracted: LetterMatch, answer: str) -> tuple[Outcome, float]:
    if extracted.answer is None:
        return (Outcome.EMPTY if extracted.rule == "empty" else Outcome.UNPARSED), 0.0
    right = extracted.answer == answer
    return (Outcome.CORRECT if right else Outcome.WRONG), float(right)
