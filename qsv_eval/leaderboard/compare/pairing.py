"""Questions that two runs share, side by side, and those on which only one of the runs is right."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qsv_eval.scoring.sample_result import Outcome

__all__ = ["Flip", "Pairing", "Side", "flips", "pair_up"]


class Side(NamedTuple):
    """Samples of one run on the compared questions, in the same order in both runs."""

    samples: pd.DataFrame
    """Frame with the columns of `samples.SAMPLES`, indexed by id."""
    rows: Sequence[dict[str, Any]]
    """Values that averages need."""
    right: NDArray[np.bool_] | None
    """Whether each reply is right; None if scores are not of right and wrong."""


class Pairing(NamedTuple):
    """Both sides, and the questions that are left out."""

    first: Side
    second: Side
    unscored_rows: Sequence[dict[str, Any]]
    """Rows of the questions left out, without a score. Several questions that count as one (all orders of a question's
    options, the two questions on an image) are incomplete without them."""
    only_first: Sequence[str]
    """Ids that only the first run has."""
    only_second: Sequence[str]
    """Ids that only the second run has."""
    changed: Sequence[str]
    """Ids of both runs with different answers, or different questions in a task of this package."""
    reworded: Sequence[str]
    """Ids of both runs whose question lmms-eval's own task words differently for each model."""
    unscored: int
    """Number of shared questions without a score in at least one run."""


class Flip(NamedTuple):
    """A question on which only one run is right."""

    id: str
    right: str
    """`A` or `B`."""
    question: str
    answer: str
    first_reply: str
    second_reply: str


def pair_up(first: pd.DataFrame, second: pd.DataFrame) -> Pairing:
    """Pair the samples of two runs by id, and leave out those without a score in both."""
    first, second = first.set_index("id"), second.set_index("id")
    ids = sorted({*first.index} & {*second.index})
    only_first, only_second = sorted({*first.index} - {*ids}), sorted({*second.index} - {*ids})
    shared_first, shared_second = first.loc[ids], second.loc[ids]
    is_ours = shared_first["outcome"].ne("") & shared_second["outcome"].ne("")
    reworded = shared_first["question"] != shared_second["question"]
    changed = (shared_first["answer"] != shared_second["answer"]) | (reworded & is_ours)
    scored = shared_first["score"].notna() & shared_second["score"].notna()
    kept = scored & ~changed
    left_out = [*shared_first[~kept]["row"], *first.loc[only_first]["row"], *second.loc[only_second]["row"]]
    return Pairing(
        first=_side(shared_first[kept]),
        second=_side(shared_second[kept]),
        unscored_rows=[_without_score(row) for row in left_out],
        only_first=only_first,
        only_second=only_second,
        changed=list(shared_first.index[changed]),
        reworded=list(shared_first.index[reworded & ~changed]),
        unscored=int((~scored & ~changed).sum()),
    )


def flips(pairing: Pairing) -> Iterator[Flip]:
    """Yield the questions on which only one run is right, sorted by id."""
    first, second = pairing.first, pairing.second
    if first.right is None or second.right is None:
        return
    for index in np.flatnonzero(first.right != second.right):
        one, other = first.samples.iloc[index], second.samples.iloc[index]
        right = "A" if first.right[index] else "B"
        yield Flip(str(one.name), right, one["question"], one["answer"], one["reply"], other["reply"])


def _side(samples: pd.DataFrame) -> Side:
    return Side(samples, list(samples["row"]), _right(samples))


def _without_score(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"score": None} | ({"verdicts": {}} if "verdicts" in row else {})


def _right(samples: pd.DataFrame) -> NDArray[np.bool_] | None:
    """Return which replies are right: by the outcome, or by a score of at least 0.5 if all scores are in [0, 1]."""
    if samples["outcome"].ne("").all():
        return (samples["outcome"] == Outcome.CORRECT.value).to_numpy(bool)
    scores = samples["score"].astype(float)
    return (scores >= 0.5).to_numpy(bool) if scores.between(0, 1).all() else None
