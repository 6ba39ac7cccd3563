"""Extraction of yes or no from a reply; the first rule that fits decides.

    word        nothing but the word: "Yes.", "**no**"
    phrase      a word named as the answer, the last one if several: "The answer is no"
    beginning   the reply begins with it: "Yes, there is", "No, it isn't"
    statement   the reply denies in full: "There is no dog", "I don't think so", "it is not"
    mention     exactly one of the two words occurs

The names `several`, `none` and `empty` stand for replies without an answer.
"""

import re
from typing import Final

from qsv_eval.scoring.extract import LetterMatch
from qsv_eval.scoring.normalize import visible_text, words

__all__ = ["YES_NO_EXTRACTOR", "extract_yes_no"]

YES_NO_EXTRACTOR: Final = "yes or no 1"
"""Name of these rules in the protocol. The number rises with every change by which a reply may read differently."""

_MEANING: Final = {
    **dict.fromkeys(
        ("yes", "yeah", "yep", "true", "correct", "是", "是的", "有", "对", "對", "はい", "네", "예"), "yes"
    ),
    **dict.fromkeys(("no", "nope", "false", "incorrect", "不是", "没有", "沒有", "否", "不", "いいえ", "아니요"), "no"),
}
_WORD: Final = "|".join(sorted(map(re.escape, _MEANING), key=len, reverse=True))
_END: Final = r"(?![A-Za-z0-9])"
_PHRASE: Final = re.compile(
    rf"(?i:\banswers?\b(?:\s(?:to|for)\s[^.:\n]{{0,60}}?)?|答案|答え|정답)"
    r"(?:[\s:=>\"'(\[-]|(?i:is|would|be|must|should|simply|definitely|therefore|a)\b|是|は|은|는){0,8}?"
    rf"((?i:{_WORD})){_END}"
)
_BEGINNING: Final = re.compile(rf"\W{{0,3}}((?i:{_WORD})){_END}")
_DENIAL: Final = re.compile(
    r"(?i)\b(?:there (?:is|are|was|were) (?:no|not|none)\b|there (?:is|are|was|were)n't\b"
    r"|(?:do|does|did) ?n[o']t think so\b"
    r"|(?:it|he|she|they|this|that) (?:is|are|was|were|does|do|did) ?n[o']t\b)"
)
_MENTION: Final = re.compile(r"(?i)\b(yes|no)\b")


def extract_yes_no(reply: str) -> LetterMatch:
    """Return "yes" or "no" as a reply says it."""
    text = visible_text(reply)
    if not text:
        return LetterMatch(None, "empty")
    said = words(text)
    if len(said) == 1 and said[0].casefold() in _MEANING:
        return LetterMatch(_MEANING[said[0].casefold()], "word")
    if named := [_MEANING[found[1].casefold()] for found in _PHRASE.finditer(text)]:
        return LetterMatch(named[-1], "phrase")
    begun = _BEGINNING.match(text)
    if begun and not _OTHER.match(text, begun.end()):
        return LetterMatch(_MEANING[begun[1].casefold()], "beginning")
    if _DENIAL.search(text):
        return LetterMatch("no", "statement")
    mentioned = {found[1].casefold() for found in _MENTION.finditer(text)}
    if len(mentioned) == 1:
        return LetterMatch(mentioned.pop(), "mention")
    return LetterMatch(None, "several" if mentioned else "none")


_OTHER: Final = re.compile(r"(?i)\s?(?:or|and|/)\s?(?:yes|no)\b|\s(?:matter|one|doubt)\b")
"""Words that keep a beginning from being an answer: "yes or no", "no doubt"."""
