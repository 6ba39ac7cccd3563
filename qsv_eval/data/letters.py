"""Letters of options: adding them, finding them, and splitting them from a question."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

__all__ = ["LETTERS", "LetteredQuestion", "answer_letter", "letter_options", "split_options"]

LETTERS: Final = "ABCDEFGHIJ"


def letter_options(options: Sequence[str], form: str = "{letter}. {option}") -> list[str]:
    """Return each option with its letter in the given form."""
    # `format` is not applied to the option's text, which may have braces.
    before, after = form.split("{option}")
    return [f"{before.format(letter=letter)}{option}{after}" for letter, option in zip(LETTERS, options, strict=False)]


def answer_letter(options: Sequence[object], answer: object) -> str:
    """Return the letter of the option that equals the answer; empty if none or several do."""
    letters = [letter for letter, option in zip(LETTERS, options, strict=False) if str(option) == str(answer)]
    return letters[0] if len(letters) == 1 else ""


class LetteredQuestion(NamedTuple):
    """Question and options, split from one text."""

    question: str
    options: tuple[str, ...]


_OPTION: Final = re.compile(r"^\s*\(?([A-J])[).:]\s*(.*?)\s*$")


def split_options(text: str) -> LetteredQuestion:
    """Split the lettered options, at least two and from A on, from the end of a question's text."""
    lines = text.rstrip().split("\n")
    options: list[re.Match[str]] = []
    while lines and (option := _OPTION.match(lines[-1])) and (not options or options[0][1] != "A"):
        options.insert(0, option)
        lines.pop()
    if len(options) < 2 or "".join(option[1] for option in options) != LETTERS[: len(options)]:
        return LetteredQuestion(text.strip(), ())
    if lines and lines[-1].strip().casefold() in ("options:", "option:"):
        lines.pop()
    return LetteredQuestion("\n".join(lines).strip(), tuple(option[2] for option in options))
