"""Strict extraction of the chosen letter from a reply, and the reference's extractor.

A reply that fits none of these rules is unparsed, not guessed at ("A man is shown" chooses nothing):

    letter          nothing but one letter: "C", "(c)", "['C']", "**C**"
    option text     the whole reply is one option's text, with or without its letter
    phrase          a letter is named as the answer, the last one if several: "The answer is (C)", "I choose C"
    mark            exactly one letter is marked as an option: "C. red", "(D) blue", "Option C"

The names `several`, `none` and `empty` stand for replies without a letter. The patterns apply to `visible_text`; every
repetition is bounded or possessive (`*+`), so that time grows linearly with the reply. Letters are bounded by ASCII
letters and digits, not by word boundaries, because Chinese and Japanese put no blanks between words ("答案是C").
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Final, NamedTuple

from qsv_eval.scoring.normalize import visible_text, words

__all__ = ["EXTRACTOR", "LetterMatch", "Patterns", "extract_letter", "patterns_for", "reference_letter"]


class Patterns(NamedTuple):
    """Compiled for one set of letters. In every match exactly one group takes part, and it is the letter."""

    phrase: re.Pattern[str]
    """A letter named as the answer."""
    alternative: re.Pattern[str]
    """A second letter offered in the same breath: "C or D"."""
    mark: re.Pattern[str]
    """A letter marked as an option."""
    listed: re.Pattern[str]
    """A letter that leads an option anywhere in the text, as in a list of all of them: too weak to choose by."""
    bare: re.Pattern[str]
    """A letter by itself."""
    negation: re.Pattern[str]
    """A negation that rejects the mark after it: "it is not (C)"."""


_FILLER: Final = (
    r"(?:[\s:=>\"'-]|(?i:is|was|are|as|be|would|should|must|will|might|seems|appears|to|most|likely|probably|definitely"
    r"|clearly|therefore|thus|indeed|the|correct|best|right|final|option|choice|letter|answer)\b)"
)
"""Words allowed between "answer" and its letter; "not" is excluded."""

_START: Final = r"(?<![A-Za-z0-9])"
_END: Final = r"(?![A-Za-z0-9]|'[A-Za-z])"

_CHINESE_FILLER: Final = r"(?:应该|應該|应|應|就|是|为|為|は|은|는|[\s:\"'(\[「【])"

_REFUTED: Final = r"(?!\W{0,2} (?i:is|are|was|seems)(?i:n't| not| wrong| incorrect| false))"
"""Not followed by "is wrong" or the like."""

_HEADS: Final = (
    r"(?<![A-Za-z])(?i:answers?|ground\s?truth|(?:correct|best|right|final|likely|my)\s(?:option|choice|letter|statement))"
    # "The answer to the question is C"
    r"(?:\s(?:to|for|of)\s[^.:\n]{0,40}?)?" + _FILLER + "{0,12}+",
    r"(?<![A-Za-z])(?i:choose|chose|choosing|pick|select|selecting|go(?:ing)?\swith|opt\sfor|vote\sfor)"
    + _FILLER
    + "{0,6}+",
    r"(?:答案|正确选项|正確選項|选择|選擇|选|選|正解|答え|정답|답)" + _CHINESE_FILLER + "{0,6}+",
)


@cache
def patterns_for(letters: str) -> Patterns:
    """Compile the patterns for a task's letters, such as "ABCD"."""
    upper, either = f"[{letters}]", f"[{letters}{letters.lower()}]"
    free = _free_letter(letters)
    bracketed = rf"[(\[{{]{{1,3}}\s?({either})\s?[)\]}}]"
    return Patterns(
        phrase=re.compile("|".join(_phrases(letters, free, bracketed))),
        alternative=re.compile(
            rf"[)\]}}\"'.]*+\s?(?:(?:or|and|OR|AND)\s|[/&或和]|,(?=\s?[(\[]?{upper}[)\]]?\s?(?:,|or\b|and\b|\W*+\Z)))"
            rf"\s?(?i:option\s)?[(\[{{]?({free})"
        ),
        mark=re.compile(
            rf"(?:{bracketed}"
            # at the start of a line, and not an initial or an abbreviation: "A. J. Smith", "D.C."
            rf"|(?m:^)[^\w\n]{{0,3}}({upper})(?:[.:)\],、](?! ?[A-Z]\.)|\s-\s| (?i:because|since)\b|(?m:$))"
            rf"|(?i:options?|choice|选项|選項) ?[(\[\"']?{_START}({upper}){_END}){_REFUTED}"
        ),
        listed=re.compile(rf"(?<!\.){_START}({upper})[.:)](?! ?[A-Z]\.) ?(?=\w)"),
        bare=re.compile(rf"(?<!\.)({free})(?!\.[A-Z])"),
        negation=re.compile(r"(?:\b(?i:not|except|than|instead of|nor|neither)|n't)\s(?i:option\s)?\Z"),
    )


def _free_letter(letters: str) -> str:
    """Match a capital that is no part of a word, and neither the article "A man" nor the pronoun "I see"."""
    words = "".join(letter for letter in letters if letter in "AI")
    others = "".join(letter for letter in letters if letter not in "AI")
    forms = [f"[{others}]"] if others else []
    if words:
        forms.append(rf"[{words}](?! (?!(?i:is|because|since|as|and|or|but|for|not)\b)[A-Za-z0-9])")
    return rf"{_START}(?:{'|'.join(forms)}){_END}"


def _phrases(letters: str, free: str, bracketed: str) -> list[str]:
    # In lower case only at the very end, and never "a": the reply may have been cut off after an article.
    lower = "".join(letter for letter in letters.lower() if letter not in "ai")
    forms = [bracketed, rf"[(\[{{\"'「【]?({free})"] + ([rf"([{lower}])(?=\W*+\Z)"] if lower else [])
    target = rf"(?:{'|'.join(forms)}){_REFUTED}"
    return [
        *(head + target for head in _HEADS),
        # "It must be C.", and not "It is A man"
        rf"(?<![A-Za-z])(?i:it is|it's|that is|that's|this is|must be|should be|would be)\s(?:the\s|option\s)?({free})"
        r"(?=\W*+\Z|[.,;:!\n]| (?i:because|since|as)\b)",
        # "C is the correct answer"
        rf"(?:{bracketed}|({free})[)\].]?)\s(?i:is|must be|would be)\s(?i:the\s)?(?:(?!(?i:not|never)\b)\w{{1,20}}\s)?"
        r"(?i:correct|right|best|answer|accurate)\b",
        # "Ground: C" at the very end, whatever it is that ends there
        rf"(?::|->|=>)\s?[(\[\"']?({free})\W*+\Z",
    ]


EXTRACTOR: Final = "strict letter 1"
"""Name of these rules in the protocol. The number rises with every change by which a reply may read differently."""

_CONNECTIVES: Final = frozenset({"and", "or", "both", "either"})

_NEGATION_LENGTH: Final = 32
"""Longer than anything that `Patterns.negation` matches."""


class LetterMatch(NamedTuple):
    """The answer extracted from a reply, and the rule that gave it."""

    answer: str | None
    rule: str
    """The rule that decided, as in the table above."""


def extract_letter(reply: str, letters: str = "ABCD", options: Sequence[str] = ()) -> LetterMatch:
    """Return the letter that a reply chose, always one of `letters`. `options` are texts such as "C. red", in order."""
    text = visible_text(reply)
    if not text:
        return LetterMatch(None, "empty")
    patterns = patterns_for(letters)
    return (
        _alone(text, letters)
        or _option_text(text, letters, options)
        or _phrase(text, patterns)
        or _mark(text, patterns)
        or _nothing(text, patterns)
    )


def _alone(text: str, letters: str) -> LetterMatch | None:
    """Read a reply of letters only; lower case only where it is alone: "a b" may begin anything."""
    found = words(text)
    if len(found) == 1 and len(found[0]) == 1:
        found = [found[0].upper()]
    chosen = {word for word in found if word not in _CONNECTIVES}
    if not chosen or not chosen <= set(letters):
        return None
    return LetterMatch(chosen.pop(), "letter") if len(chosen) == 1 else LetterMatch(None, "several")


def _option_text(text: str, letters: str, options: Sequence[str]) -> LetterMatch | None:
    said = _key(text)
    chosen = set()
    for letter, option in zip(letters, options, strict=False):
        meant = _key(re.sub(rf"^\s*\(?{letter}[.:)]", "", option))
        if meant and said in (meant, f"{letter.casefold()} {meant}"):
            chosen.add(letter)
    return LetterMatch(chosen.pop(), "option text") if len(chosen) == 1 else None


def _phrase(text: str, patterns: Patterns) -> LetterMatch | None:
    """Find the last letter named as the answer: a model that thinks aloud may correct itself."""
    matches = list(patterns.phrase.finditer(text))
    if not matches:
        return None
    last = matches[-1]
    letter = _letter(last)
    other = patterns.alternative.match(text, last.end())
    return LetterMatch(None, "several") if other and _letter(other) != letter else LetterMatch(letter, "phrase")


def _mark(text: str, patterns: Patterns) -> LetterMatch | None:
    """Find the one letter marked as an option, unless the reply goes through several."""
    marked = {_letter(m) for m in patterns.mark.finditer(text) if not _is_negated(text, m.start(), patterns)}
    if not marked:
        return None
    marked |= {_letter(m) for m in patterns.listed.finditer(text)}
    return LetterMatch(marked.pop(), "mark") if len(marked) == 1 else LetterMatch(None, "several")


def _is_negated(text: str, start: int, patterns: Patterns) -> bool:
    return patterns.negation.search(text, max(0, start - _NEGATION_LENGTH), start) is not None


def _nothing(text: str, patterns: Patterns) -> LetterMatch:
    several = len(set(patterns.bare.findall(text))) > 1
    return LetterMatch(None, "several" if several else "none")


def _letter(match: re.Match[str]) -> str:
    """Return the letter of a match: the one group that took part."""
    return next(group for group in match.groups() if group).upper()


def _key(text: str) -> str:
    """Return what two ways to write one option's text have in common."""
    return " ".join(words(text)).casefold()


_LEAD_INS: Final = (
    "The best answer is",
    "The correct answer is",
    "The answer is",
    "The answer",
    # Two commas are missing in the reference's list, so four phrases are fused into two that no reply contains.
    "The best option isThe correct option is",
    "Best answer:Best option:",
    # Not in the list as it is commonly known: without it the table's "Answer: C" would give "A".
    "Answer:",
)

_CAPITAL: Final = re.compile("[A-J]")


def reference_letter(reply: str) -> str:
    """Return the letter that the reference's extractor finds, or an empty string.

    The steps, see docs/reference.md: strip, delete fixed lead-in phrases, take the first capital
    A to J of whatever word. The phrases are rebuilt so that every row of the table there holds, which was made with
    the reference itself: "Best answer: C" gives B and "I think it is (D) blue" gives I, while "Answer: C" gives C. The
    reference first rejects replies of more than ten words that hold no such capital; they give nothing here either.
    """
    text = reply.strip()
    for lead_in in _LEAD_INS:
        text = text.replace(lead_in, "")
    found = _CAPITAL.search(text)
    return found.group() if found else ""
