"""From verdicts to the numbers of a benchmark. What has no verdict is in no mean, and is counted beside it."""

from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Final, NamedTuple

from qsv_eval.judge.case import Case, Verdict

__all__ = ["Score", "mlvu_g_avg", "score_cases", "video_chatgpt_average"]

_VIDEO_CHATGPT: Final = ("vcg_correctness", "vcg_detail", "vcg_context", "vcg_temporal", "vcg_consistency")
_MLVU: Final = ("mlvu_subscene", "mlvu_summary")


class Score(NamedTuple):
    """What the cases of one protocol come to."""

    n: int
    """Cases with a verdict."""
    unscored: int
    """Cases without one."""
    accuracy: float | None
    """Percent that the judge called correct; None where it says no such thing, or nothing is scored."""
    means: Mapping[str, float]
    """By dimension, on its own scale; empty where nothing is scored."""

    @property
    def total(self) -> float | None:
        """The sum of the dimensions: the mean itself where there is one, 2 to 10 for MLVU."""
        return sum(self.means.values()) if self.means else None


def score_cases(cases: Iterable[Case], verdicts: Mapping[str, Verdict]) -> dict[str, Score]:
    """Return the score of each protocol that occurs. The verdicts are of one judge, which may be the offline one."""
    by_protocol: dict[str, list[Verdict | None]] = {}
    for case in cases:
        by_protocol.setdefault(case.protocol, []).append(verdicts.get(case.id))
    return {name: _score(found) for name, found in by_protocol.items()}


def _score(found: list[Verdict | None]) -> Score:
    scored = [verdict for verdict in found if verdict is not None]
    if not scored:
        return Score(0, len(found), None, {})
    said = [verdict.correct for verdict in scored if verdict.correct is not None]
    return Score(
        n=len(scored),
        unscored=len(found) - len(scored),
        accuracy=100 * fmean(said) if said else None,
        means={name: fmean(verdict.scores[name] for verdict in scored) for name in scored[0].scores},
    )


def video_chatgpt_average(scores: Mapping[str, Score]) -> float | None:
    """Return the mean of the five dimensions' means, 0 to 5, or None if one of them is missing."""
    return _mean_of_totals(scores, _VIDEO_CHATGPT)


def mlvu_g_avg(scores: Mapping[str, Score]) -> float | None:
    """Return the mean of the two generation tasks' totals, 2 to 10, or None if one is missing. Tasks weigh the same."""
    return _mean_of_totals(scores, _MLVU)


def _mean_of_totals(scores: Mapping[str, Score], protocols: tuple[str, ...]) -> float | None:
    totals = [scores[name].total for name in protocols if name in scores]
    known = [total for total in totals if total is not None]
    return fmean(known) if len(known) == len(protocols) else None
