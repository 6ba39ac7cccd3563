"""Official metrics for short answers: each takes a reply and the accepted answers, and grades from 0 to 1.

The metrics are applied to what `cleaned` leaves of a reply, and beside it to the reply as it is, which is what their
authors' scripts do.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from qsv_eval.scoring.visible import visible_text

__all__ = ["anls", "cleaned", "exact_match", "relaxed_accuracy", "vqa_accuracy"]

_LEAD_IN: Final = re.compile(
    r"(?i)\A(?:(?:so|therefore|thus),? )?(?:the )?(?:(?:correct|final) )?answer(?: is|:)\s?:?\s?"
)
_PUNCTUATION: Final = re.compile(r"[^\w\s]|_")


def cleaned(reply: str) -> str:
    """Return what a reader takes for the answer: no thinking, no markup, no "The answer is", no full stop at the end.

    A stop that ends an abbreviation ("U.S.") or a number stays.
    """
    text = _LEAD_IN.sub("", visible_text(reply)).strip().strip('"')
    body = text.removesuffix(".")
    return body if body != text and "." not in body.rpartition(" ")[2] else text


def exact_match(reply: str, answers: Sequence[str]) -> float:
    """Return 1 where the reply is an accepted answer but for case, punctuation and white space (GQA's metric)."""
    return float(_plain(reply) in {_plain(answer) for answer in answers})


def vqa_accuracy(reply: str, answers: Sequence[str]) -> float:
    """Return how far ten people agree with a reply: min(1, n / 3), averaged over leaving each of them out.

    The normalisation is EvalAI's, by lmms-eval.
    """
    normalise = _evalai()
    said, given = normalise(reply), [normalise(answer) for answer in answers]
    if len(given) == 1:
        return float(said == given[0])
    agreeing = sum(said == answer for answer in given)
    return sum(min(1.0, (agreeing - (said == answer)) / 3) for answer in given) / len(given)


def anls(reply: str, answers: Sequence[str], threshold: float = 0.5) -> float:
    """Return the normalised Levenshtein similarity with the nearest answer, 0 below the threshold (DocVQA)."""
    found = max(_similarity(_folded(reply), _folded(answer)) for answer in answers)
    return found if found >= threshold else 0.0


def relaxed_accuracy(reply: str, answers: Sequence[str], tolerance: float = 0.05) -> float:
    """Return 1 where a number is within 5 % of an answer, or else the words are the same (ChartQA).

    "12 %" is 0.12 on either side. Of an answer that is zero no share can be taken, so it must be met exactly.
    """
    return float(any(_is_near(reply, answer, tolerance) for answer in answers))


def _is_near(reply: str, answer: str, tolerance: float) -> bool:
    said, right = _number(reply), _number(answer)
    if said is not None and right is not None:
        return abs(said - right) <= tolerance * abs(right)
    return reply.strip().casefold() == answer.strip().casefold()


def _number(text: str) -> float | None:
    """Return a text that is one number; thousands may be set off by commas."""
    plain = text.strip().replace(",", "")
    try:
        return float(plain.removesuffix("%")) / 100 if plain.endswith("%") else float(plain)
    except ValueError:
        return None


def _plain(text: str) -> str:
    return " ".join(_PUNCTUATION.sub(" ", text.casefold()).split())


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _similarity(one: str, other: str) -> float:
    longest = max(len(one), len(other))
    return 1 - _distance(one, other) / longest if longest else 1.0


def _distance(one: str, other: str) -> int:
    """Return the Levenshtein distance, row by row."""
    row = list(range(len(other) + 1))
    for place, letter in enumerate(one, 1):
        diagonal, row[0] = row[0], place
        for column, against in enumerate(other, 1):
            diagonal, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, diagonal + (letter != against)),
            )
    return row[-1]


@cache
def _evalai() -> Any:
    """Return EvalAI's normalisation; lmms-eval takes seconds to import, so only where it is needed."""
    from lmms_eval.tasks._task_utils.vqa_eval_metric import EvalAIAnswerProcessor

    return EvalAIAnswerProcessor()
