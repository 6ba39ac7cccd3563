r"""The patterns that tell a chosen letter from a capital that happens to be there.

They are written for `visible_text`, where white space never runs on, and every repetition is bounded or possessive
(`*+`), so that a reply of a megabyte takes time in proportion. Letters are bounded by ASCII letters and digits rather
than by `\b`, because Chinese and Japanese run on without blanks: the reply may be "答案是C".
"""

import re
from functools import cache
from typing import Final, NamedTuple

__all__ = ["Patterns", "patterns_for"]


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
    """What makes the mark after it no choice: "it is not (C)"."""


_FILLER: Final = (
    r"(?:[\s:=>\"'-]|(?i:is|was|are|as|be|would|should|must|will|might|seems|appears|to|most|likely|probably|definitely"
    r"|clearly|therefore|thus|indeed|the|correct|best|right|final|option|choice|letter|answer)\b)"
)
"""What may stand between the word "answer" and its letter. No "not" among it."""

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
