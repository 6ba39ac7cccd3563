"""Offline judge `exact`: exact match and token F1 of reply and truth. It knows no synonyms; never the headline."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import Final

from qsv_eval.judge.types import JudgeRequest, Verdict
from qsv_eval.model_adapters.errors import SetupError

__all__ = ["EXACT", "judge_exactly", "normalised", "token_f1"]

EXACT: Final = "exact"
"""Name of this judge in every verdict of its."""

_WORD: Final = re.compile(r"[^\W_]+(?:\.\d+)?")
_ARTICLES: Final = frozenset({"a", "an", "the"})


def judge_exactly(requests: Iterable[JudgeRequest]) -> dict[str, Verdict]:
    """Compare replies with truths, by id: `exact_match` 0 or 1, `token_f1` from 0 to 1. SetupError for cases of two."""
    return {request.id: _verdict(request) for request in requests}


def normalised(text: str) -> list[str]:
    """Return the words that count: lower case, without punctuation and articles (as SQuAD has it)."""
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    return [word for word in words if word not in _ARTICLES]


def token_f1(reply: str, truth: str) -> float:
    """Return the harmonic mean of precision and recall of words; 1 for two texts without any."""
    said, true = Counter(normalised(reply)), Counter(normalised(truth))
    if not said and not true:
        return 1.0
    return 2 * (said & true).total() / (said.total() + true.total())


def _verdict(request: JudgeRequest) -> Verdict:
    if not {"truth", "reply"} <= request.fields.keys():
        raise SetupError(
            f"request {request.id}: {EXACT} compares a reply with a truth, and {request.protocol} has others"
        )
    reply, truth = request.fields["reply"], request.fields["truth"]
    match = normalised(reply) == normalised(truth)
    return Verdict(
        judge=EXACT, scores={"exact_match": float(match), "token_f1": token_f1(reply, truth)}, correct=match, raw=reply
    )
