"""Number extraction and the official metrics of short answers (exact match, VQA accuracy, ANLS, relaxed accuracy).

    number      nothing but one number, with its unit or currency: "42", "1,204.5", "-3 %", "$12", "forty-two"
    phrase      a number named as the answer, the last one if several: "The answer is 42%"
    mention     exactly one number occurs

The names `several`, `none` and `empty` stand for replies without a number. Numbers are returned as decimal text, with
the reply's percent sign: "1,204.5 %" is "1204.5%". Each metric takes a reply and the accepted answers and returns a
grade from 0 to 1; it is applied to `cleaned(reply)`, and for comparison to the raw reply, as its authors do.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from qsv_eval.scoring.extract import LetterMatch
from qsv_eval.scoring.normalize import visible_text

__all__ = [
    "NUMBER_EXTRACTOR",
    "anls",
    "cleaned",
    "exact_match",
    "extract_number",
    "is_number",
    "relaxed_accuracy",
    "vqa_accuracy",
]

NUMBER_EXTRACTOR: Final = "number 1"
"""Name of these rules in the protocol. The number rises with every change by which a reply may read differently."""

_ONES: Final = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS: Final = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES: Final = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9}
_WORDS: Final = (
    {word: value for value, word in enumerate(_ONES)} | {word: 10 * n for n, word in enumerate(_TENS, 2)} | _SCALES
)

_DIGITS: Final = r"(?:\d{1,3}(?:,\d{3})+(?![\d,])|\d+)(?:\.\d+)?|\.\d+"
_SPOKEN: Final = rf"(?:{'|'.join(sorted(_WORDS, key=len, reverse=True))})"
_NUMBER: Final = re.compile(
    rf"(?<![\w.,])(?P<sign>-\s?)?(?:[$€£¥]\s?)?"
    rf"(?:(?P<digits>{_DIGITS})(?:\s?(?P<scale>hundred|thousand|million|billion)\b)?"
    rf"|(?P<spoken>(?i:{_SPOKEN}(?:(?:[\s-]|\sand\s){_SPOKEN})*))(?![A-Za-z]))"
    r"(?:\s?(?P<percent>%|percent\b|per cent\b))?(?![\d])"
)
_ALONE: Final = re.compile(r"\W*(?:(?:about|around|approximately|roughly)\s)?")
_UNIT: Final = re.compile(r"\s?[^\W\d]{0,12}\W*\Z")
_PHRASE: Final = re.compile(
    r"(?i)\b(?:answers?|total|result|value)\b(?:[\s:=>\"'(\[]|is\b|was\b|would\b|be\b|about\b|approximately\b|equals?\b){1,8}"
)


def extract_number(reply: str) -> LetterMatch:
    """Return the number that a reply gives, as decimal text."""
    text = visible_text(reply)
    if not text:
        return LetterMatch(None, "empty")
    found = list(_NUMBER.finditer(text))
    if not found:
        return LetterMatch(None, "none")
    first = found[0]
    if len(found) == 1 and _ALONE.fullmatch(text, 0, first.start()) and _UNIT.match(text, first.end()):
        return LetterMatch(_value(first), "number")
    ends = {phrase.end() for phrase in _PHRASE.finditer(text)}
    if named := [match for match in found if match.start() in ends]:
        return LetterMatch(_value(named[-1]), "phrase")
    values = {_value(match) for match in found}
    return LetterMatch(values.pop(), "mention") if len(values) == 1 else LetterMatch(None, "several")


def is_number(text: str) -> bool:
    """Say whether a text is one number, such as an annotated answer."""
    return extract_number(text).rule == "number"


def _value(match: re.Match[str]) -> str:
    if digits := match["digits"]:
        value = digits.replace(",", "")
        if match["scale"]:
            value = f"{float(value) * _SCALES[match['scale'].casefold()]:.15g}"
    else:
        value = str(_spoken(match["spoken"]))
    return f"{'-' if match['sign'] else ''}{value}{'%' if match['percent'] else ''}"


def _spoken(text: str) -> int:
    """Return the value of number words: "two hundred and forty-two thousand"."""
    total = group = 0
    for word in re.findall(r"[a-z]+", text.casefold()):
        if word == "and":
            continue
        value = _WORDS[word]
        if value == 100:
            group = max(group, 1) * 100
        elif value >= 1000:
            total, group = total + max(group, 1) * value, 0
        else:
            group += value
    return total + group


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
