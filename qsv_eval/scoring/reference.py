"""How the reference reads a reply, defects included: kept to report its score beside ours, never as the headline."""

import re
from typing import Final

__all__ = ["reference_letter"]

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

    The steps are those of spec/benchmarks.md section 1.1: strip, delete fixed lead-in phrases, take the first capital
    A to J of whatever word. The phrases are rebuilt so that every row of the table there holds, which was made with
    the reference itself: "Best answer: C" gives B and "I think it is (D) blue" gives I, while "Answer: C" gives C. The
    reference first rejects replies of more than ten words that hold no such capital; they give nothing here either.
    """
    text = reply.strip()
    for lead_in in _LEAD_INS:
        text = text.replace(lead_in, "")
    found = _CAPITAL.search(text)
    return found.group() if found else ""
