"""Parser of a judge's text: lenient in form, strict in content.

Accepted are JSON, a Python dictionary, and plain `name: value` pairs, with text or a fence around them and thinking
before. Missing keys, invalid or out-of-range numbers, contradicting objects and cut-off text are no verdict, and the
judge is asked again.
"""

import ast
import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from qsv_eval.judge.rubrics import Dimension, Rubric

__all__ = ["NoVerdictError", "ParsedVerdict", "parse_verdict"]

_LONGEST: Final = 8_000
"""Characters looked at, far above any `max_tokens`: nested braces in a runaway reply must not cost time."""

_PYTHON_OBJECT: Final = re.compile(r"\{[^{}]*\}")
_PAIR: Final = r"""(?<![\w]){name}['"]*\s*[:=]\s*['"]?([\w.+-]+)"""


class ParsedVerdict(NamedTuple):
    """Scores and verdict in a judge's text."""

    scores: dict[str, float]
    """Rounded to the nearest whole number, halves up: judges are asked for whole numbers, and cutting off 4.8 to 4, as
    is often done, lowers every score of a judge that says more than it was asked."""
    correct: bool | None


class NoVerdictError(Exception):
    """The text is no verdict; the message says why."""


def parse_verdict(text: str, protocol: Rubric, *, is_cut_off: bool = False) -> ParsedVerdict:
    """Read a verdict.

    Args:
        text: what the judge wrote.
        protocol: what it was asked for.
        is_cut_off: whether the server ended the text for its length; only a whole object counts then.

    Raises:
        NoVerdictError: there is none, or not exactly one.
    """
    text = _without_thinking(text.strip())[:_LONGEST]
    if not text:
        raise NoVerdictError("an empty reply")
    found = [_marks(said, protocol) for said in _objects(text) if _keys(protocol) <= said.keys()]
    if not found and not is_cut_off and text.count("{") == text.count("}"):
        found = [_marks(said, protocol) for said in _pairs(text, protocol)]
    if not found:
        raise NoVerdictError(
            "a reply cut off" if is_cut_off else "a reply without " + " and ".join(sorted(_keys(protocol)))
        )
    if any(marks != found[0] for marks in found):
        raise NoVerdictError("a reply with several verdicts")
    return found[0]


def _without_thinking(text: str) -> str:
    """Drop thinking, also of which only the end came or which never ended; a tag quoted in an object is none."""
    if text.startswith("{"):
        return text
    return text.rpartition("</think>")[2].partition("<think>")[0].strip()


def _keys(protocol: Rubric) -> set[str]:
    return {dimension.name for dimension in protocol.dimensions} | ({"pred"} if protocol.says_correct else set())


def _marks(said: dict[Any, Any], protocol: Rubric) -> ParsedVerdict:
    scores = {dimension.name: _score(said[dimension.name], dimension) for dimension in protocol.dimensions}
    return ParsedVerdict(scores, _yes_or_no(said["pred"]) if protocol.says_correct else None)


def _score(value: Any, dimension: Dimension) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    # Checked before rounding: 5.4 on a scale to 5 is a judge on another scale.
    if not dimension.low <= number <= dimension.high:
        scale = f"{dimension.low} to {dimension.high}"
        raise NoVerdictError(f"{dimension.name} {str(value)[:20]!r} is no number from {scale}")
    return float(math.floor(number + 0.5))


def _yes_or_no(value: Any) -> bool:
    word = value.strip(" .").lower() if isinstance(value, str) else value
    if word not in ("yes", "no"):
        raise NoVerdictError(f"pred {str(value)[:20]!r} is neither yes nor no")
    return word == "yes"


def _objects(text: str) -> Iterator[dict[Any, Any]]:
    """Find the outermost dictionaries of a text, JSON or Python."""
    decoder, at = json.JSONDecoder(strict=False), text.find("{")
    while at >= 0:
        try:
            said, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            said, end = _python_object(text, at)
        if isinstance(said, dict):
            yield said
        at = text.find("{", end)


def _python_object(text: str, at: int) -> tuple[Any, int]:
    """Read `{'pred': 'yes', 'score': 4}`, up to its first closing brace."""
    match = _PYTHON_OBJECT.match(text, at)
    if match is None:
        return None, at + 1
    try:
        return ast.literal_eval(match[0]), match.end()
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None, match.end()


def _pairs(text: str, protocol: Rubric) -> Iterator[dict[str, str]]:
    """Read "pred: yes, score: 4", where every key has just one value."""
    values = {key: re.findall(_PAIR.replace("{name}", key), text, re.IGNORECASE) for key in _keys(protocol)}
    if all(len(found) == 1 for found in values.values()):
        yield {key: found[0].rstrip(".") for key, found in values.items()}
