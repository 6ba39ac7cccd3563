"""From a reply to the letter that it chose, strictly: a letter counts only where it can be nothing but a choice.

Taking the first capital, or any capital, reads "A man is shown" as A and "Because it is red" as B, and has moved
published scores by whole points. So the rules here go from what is certain to what is likely, and a reply that fits
none is unparsed, not guessed at:

    letter          nothing but one letter: "C", "(c)", "['C']", "**C**"
    option text     the whole reply is one option's text, with or without its letter
    phrase          a letter is named as the answer, the last one if several: "The answer is (C)", "I choose C"
    mark            exactly one letter is marked as an option: "C. red", "(D) blue", "Option C"

The names `several`, `none` and `empty` stand for replies without a letter.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from qsv_eval.scoring.patterns import Patterns, patterns_for
from qsv_eval.scoring.visible import visible_text, words

__all__ = ["EXTRACTOR", "Extracted", "extract_letter"]

EXTRACTOR: Final = "strict letter 1"
"""Name of these rules in the protocol. The number rises with every change by which a reply may read differently."""

_CONNECTIVES: Final = frozenset({"and", "or", "both", "either"})

_NEGATION_LENGTH: Final = 32
"""Longer than anything that `Patterns.negation` matches."""


class Extracted(NamedTuple):
    """What was read from a reply."""

    answer: str | None
    rule: str
    """The rule that decided, as in the table above."""


def extract_letter(reply: str, letters: str = "ABCD", options: Sequence[str] = ()) -> Extracted:
    """Return the letter that a reply chose, always one of `letters`. `options` are texts such as "C. red", in order."""
    text = visible_text(reply)
    if not text:
        return Extracted(None, "empty")
    patterns = patterns_for(letters)
    return (
        _alone(text, letters)
        or _option_text(text, letters, options)
        or _phrase(text, patterns)
        or _mark(text, patterns)
        or _nothing(text, patterns)
    )


def _alone(text: str, letters: str) -> Extracted | None:
    """Read a reply of letters only; lower case only where it is alone: "a b" may begin anything."""
    found = words(text)
    if len(found) == 1 and len(found[0]) == 1:
        found = [found[0].upper()]
    chosen = {word for word in found if word not in _CONNECTIVES}
    if not chosen or not chosen <= set(letters):
        return None
    return Extracted(chosen.pop(), "letter") if len(chosen) == 1 else Extracted(None, "several")


def _option_text(text: str, letters: str, options: Sequence[str]) -> Extracted | None:
    said = _key(text)
    chosen = set()
    for letter, option in zip(letters, options, strict=False):
        meant = _key(re.sub(rf"^\s*\(?{letter}[.:)]", "", option))
        if meant and said in (meant, f"{letter.casefold()} {meant}"):
            chosen.add(letter)
    return Extracted(chosen.pop(), "option text") if len(chosen) == 1 else None


def _phrase(text: str, patterns: Patterns) -> Extracted | None:
    """Find the last letter named as the answer: a model that thinks aloud may correct itself."""
    matches = list(patterns.phrase.finditer(text))
    if not matches:
        return None
    last = matches[-1]
    letter = _letter(last)
    other = patterns.alternative.match(text, last.end())
    return Extracted(None, "several") if other and _letter(other) != letter else Extracted(letter, "phrase")


def _mark(text: str, patterns: Patterns) -> Extracted | None:
    """Find the one letter marked as an option, unless the reply goes through several."""
    marked = {_letter(m) for m in patterns.mark.finditer(text) if not _is_negated(text, m.start(), patterns)}
    if not marked:
        return None
    marked |= {_letter(m) for m in patterns.listed.finditer(text)}
    return Extracted(marked.pop(), "mark") if len(marked) == 1 else Extracted(None, "several")


def _is_negated(text: str, start: int, patterns: Patterns) -> bool:
    return patterns.negation.search(text, max(0, start - _NEGATION_LENGTH), start) is not None


def _nothing(text: str, patterns: Patterns) -> Extracted:
    several = len(set(patterns.bare.findall(text))) > 1
    return Extracted(None, "several" if several else "none")


def _letter(match: re.Match[str]) -> str:
    """Return the letter of a match: the one group that took part."""
    return next(group for group in match.groups() if group).upper()


def _key(text: str) -> str:
    """Return what two ways to write one option's text have in common."""
    return " ".join(words(text)).casefold()
