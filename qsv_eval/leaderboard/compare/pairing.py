"""The questions that two runs share, side by side, and those on which only one of the two is right."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qsv_eval.scoring.sample_result import Outcome

__all__ = ["Flip", "Pairing", "Side", "flips", "pair_up"]


class Side(NamedTuple):
    """Results of one run on the questions that both have scored; both sides have the same order."""

    samples: pd.DataFrame
    """With the columns of `samples.SAMPLES`, the id as index."""
    rows: Sequence[dict[str, Any]]
    """Values that averages need."""
    right: NDArray[np.bool_] | None
    """True for correct replies; None where scores are not right or wrong."""


class Pairing(NamedTuple):
    """Both sides, and what is left out."""

    first: Side
    second: Side
    blank: Sequence[dict[str, Any]]
    """Rows of the questions that are left out, without a score: what several questions make up together (all orders of
    a question's options, the two on an image) is not whole without them."""
    only_first: Sequence[str]
    """Ids that only the first has."""
    only_second: Sequence[str]
    changed: Sequence[str]
    """Ids that both have, with another answer, or another question in a task of ours."""
    reworded: Sequence[str]
    """Ids that both have and that lmms-eval's own task put to the two in different words, as it has for each model."""
    unscored: int
    """Shared questions without a score in at least one run."""


class Flip(NamedTuple):
    """A question on which only one of the two is right."""

    id: str
    right: str
    """`A` or `B`."""
    question: str
    answer: str
    first_reply: str
    second_reply: str


def pair_up(first: pd.DataFrame, second: pd.DataFrame) -> Pairing:
    """Bring the samples of two runs into the same order, those left that both have a score for."""
    one, other = first.set_index("id"), second.set_index("id")
    ids = sorted({*one.index} & {*other.index})
    shared, shared_other = one.loc[ids], other.loc[ids]
    ours = shared["outcome"].ne("") & shared_other["outcome"].ne("")
    reworded = shared["question"] != shared_other["question"]
    changed = (shared["answer"] != shared_other["answer"]) | (reworded & ours)
    scored = shared["score"].notna() & shared_other["score"].notna()
    kept = scored & ~changed
    only_first, only_second = sorted({*one.index} - {*ids}), sorted({*other.index} - {*ids})
    left_out = [*shared[~kept]["row"], *one.loc[only_first]["row"], *other.loc[only_second]["row"]]
    return Pairing(
        first=_side(shared[kept]),
        second=_side(shared_other[kept]),
        blank=[_without_score(row) for row in left_out],
        only_first=only_first,
        only_second=only_second,
        changed=list(shared.index[changed]),
        reworded=list(shared.index[reworded & ~changed]),
        unscored=int((~scored & ~changed).sum()),
    )


def flips(pairing: Pairing) -> Iterator[Flip]:
    """Yield the questions on which only one of the two is right, by their ids."""
    one, other = pairing.first, pairing.second
    if one.right is None or other.right is None:
        return
    for place in np.flatnonzero(one.right != other.right):
        first, second = one.samples.iloc[place], other.samples.iloc[place]
        side = "A" if one.right[place] else "B"
        yield Flip(str(first.name), side, first["question"], first["answer"], first["reply"], second["reply"])


def _side(samples: pd.DataFrame) -> Side:
    return Side(samples, list(samples["row"]), _right(samples))


def _without_score(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"score": None} | ({"verdicts": {}} if "verdicts" in row else {})


def _right(samples: pd.DataFrame) -> NDArray[np.bool_] | None:
    """Tell which questions are right: by the outcome, or by a score of at least a half where scores end at one."""
    if samples["outcome"].ne("").all():
        return (samples["outcome"] == Outcome.CORRECT.value).to_numpy(bool)
    scores = samples["score"].astype(float)
    return (scores >= 0.5).to_numpy(bool) if scores.between(0, 1).all() else None
