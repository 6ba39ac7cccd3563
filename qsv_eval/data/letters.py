"""Letters of options."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

__all__ = ["LETTERS", "LetteredQuestion", "answer_letter", "letter_options", "split_options"]

LETTERS: Final = "ABCDEFGHIJ"


def letter_options(options: Sequence[str], form: str = "{letter}. {option}") -> list[str]:
    """Put a letter before each option."""
    # Not by `format` on the option's text, which may hold braces.
    before, after = form.split("{option}")
    return [f"{before.format(letter=letter)}{option}{after}" for letter, option in zip(LETTERS, options, strict=False)]


def answer_letter(options: Sequence[object], answer: object) -> str:
    """Return the letter of the option that is the answer; empty where none or more than one is."""
    right = [letter for letter, option in zip(LETTERS, options, strict=False) if str(option) == str(answer)]
    return right[0] if len(right) == 1 else ""


class LetteredQuestion(NamedTuple):
    """A question and its options, taken apart."""

    question: str
    options: tuple[str, ...]


_OPTION: Final = re.compile(r"^\s*\(?([A-J])[).:]\s*(.*?)\s*$")


def split_options(text: str) -> LetteredQuestion:
    """Take the lettered options off the end of a question's text; two at least, which run from A."""
    lines = text.rstrip().split("\n")
    found: list[re.Match[str]] = []
    while lines and (option := _OPTION.match(lines[-1])) and (not found or found[0][1] != "A"):
        found.insert(0, option)
        lines.pop()
    if len(found) < 2 or "".join(option[1] for option in found) != LETTERS[: len(found)]:
        return LetteredQuestion(text.strip(), ())
    if lines and lines[-1].strip().casefold() in ("options:", "option:"):
        lines.pop()
    return LetteredQuestion("\n".join(lines).strip(), tuple(option[2] for option in found))
