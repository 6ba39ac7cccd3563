"""From a reply to the number that it gives, from what is certain to what is likely.

    number      nothing but one number, with its unit or currency: "42", "1,204.5", "-3 %", "$12", "forty-two"
    phrase      a number named as the answer, the last one if several: "The answer is 42%"
    mention     exactly one number occurs

The names `several`, `none` and `empty` stand for replies without a number. What is returned is a decimal, with a
percent sign where the reply has one: "1,204.5 %" is "1204.5%".
"""

import re
from typing import Final

from qsv_eval.scoring.extract import Extracted
from qsv_eval.scoring.visible import visible_text

__all__ = ["NUMBER_EXTRACTOR", "extract_number", "is_number"]

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


def extract_number(reply: str) -> Extracted:
    """Return the number that a reply gives, as decimal text."""
    text = visible_text(reply)
    if not text:
        return Extracted(None, "empty")
    found = list(_NUMBER.finditer(text))
    if not found:
        return Extracted(None, "none")
    first = found[0]
    if len(found) == 1 and _ALONE.fullmatch(text, 0, first.start()) and _UNIT.match(text, first.end()):
        return Extracted(_value(first), "number")
    ends = {phrase.end() for phrase in _PHRASE.finditer(text)}
    if named := [match for match in found if match.start() in ends]:
        return Extracted(_value(named[-1]), "phrase")
    values = {_value(match) for match in found}
    return Extracted(values.pop(), "mention") if len(values) == 1 else Extracted(None, "several")


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
