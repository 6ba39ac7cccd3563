"""Normalisation of replies: thinking, markup and typographic variants are removed."""

import re
import unicodedata
from typing import Final

__all__ = ["visible_text", "words"]

_MARKUP: Final = re.compile(r"[*`$\u200b-\u200d\ufeff]|\\(?:boxed|text(?:bf|it)?|math(?:rm|bf))\b")
_PLAIN: Final = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201b", "'"),
        **dict.fromkeys("\u201c\u201d\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
        **dict.fromkeys("\u2192\u21d2", "->"),
    }
)
"""Quotation marks, dashes and arrows, which NFKC leaves as they are."""

_TAG: Final = re.compile(r"</?\w{1,20}>")
_BLANKS: Final = re.compile(r"[^\S\n]+")
_BREAKS: Final = re.compile(r" ?\n[ \n]*")
_WORD: Final = re.compile(r"[^\W_]+")


def visible_text(reply: str) -> str:
    """Return the reply as it is read: no `<think>` blocks, no emphasis, plain forms of full-width letters and marks.

    Any run of white space becomes one blank or one newline. The patterns count on that: it keeps their search time in
    proportion to the reply's length.
    """
    text = unicodedata.normalize("NFKC", _without_thinking(reply)).translate(_PLAIN)
    text = _BLANKS.sub(" ", _MARKUP.sub("", text))
    return _BREAKS.sub("\n", text).strip()


def words(text: str) -> list[str]:
    """Return the words of a visible text, without tags and punctuation."""
    return _WORD.findall(_TAG.sub(" ", unicodedata.normalize("NFKC", text)))


def _without_thinking(reply: str) -> str:
    """Drop `<think>…</think>`, a block that never ends, and one whose start is in the prompt."""
    before, *blocks = reply.split("<think>")
    after = [block.partition("</think>")[2] for block in blocks]
    return "".join([before, *after]).rpartition("</think>")[2]
