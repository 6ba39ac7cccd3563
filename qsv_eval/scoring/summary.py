"""Summary of a task: the headline score with its interval, the counts of outcomes, and the same for every group.

It is stored as the value of an lmms-eval metric in the results file.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from qsv_eval.scoring.averages import POOLED, Average
from qsv_eval.scoring.sample_result import Outcome, SampleResult, count_outcomes, outcome_name

__all__ = ["CompactDict", "ScoreSummary", "TaskSummary", "summarise"]


class ScoreSummary(TypedDict):
    """A number and what stands behind it."""

    n: int  # questions asked, failures included
    counts: dict[str, int]  # how many of each outcome; all six names, always
    value: float | None  # None where nothing was scored
    interval: list[float] | None  # 95 %, clustered
    complete: bool  # no errors, nothing unscored
    lowest: float | None  # the value if everything without a score were wrong
    highest: float | None  # the same if everything without one were right


class CompactDict(dict[str, Any]):
    """A plain mapping for the results file that shows as a few words inside of another.

    lmms-eval prints a metric through pytablewriter, which makes a plain `dict` of any mapping and prints that. So the
    whole cannot have a short form of its own, but its parts can.
    """

    def __init__(self, content: Mapping[str, Any], shown: str) -> None:
        super().__init__(content)
        self.shown = shown

    def __repr__(self) -> str:
        return self.shown


class _RoundedFloat(float):
    """Stored in full, shown with one digit."""

    def __repr__(self) -> str:
        return f"{self:.1f}"


class TaskSummary(dict[str, Any]):
    """A `ScoreSummary`, and beside it the keys below; `str` gives it in one line.

    `average` (the rule in words) and `scale`; `micro`, the mean over all questions, and `macro`, the mean over the
    groups of the first field; `also`, {name: Figure} of further official averages; `clusters`; `unparsed_share`, the
    percentage of scored questions whose reply held no readable answer; `disagreements`, on how many replies the
    reference's way of reading gives another answer than ours; `breakdown`, {field: {value: Figure}}.
    """

    def __str__(self) -> str:
        if not self["n"]:
            return "none asked"
        line = f"{self['n']} asked: {outcome_name(self['counts'])}"
        if self["complete"] or self["lowest"] is None:
            return line
        return f"{line} (incomplete: {self['lowest']:.1f}\u2013{self['highest']:.1f})"


def summarise(
    rows: Iterable[SampleResult], average: Average, fields: Sequence[str], also: Mapping[str, Average] | None = None
) -> TaskSummary:
    """Summarise the scored rows of one task: its official average, others by name, and the groups of each field."""
    # lmms-eval concatenates what the processes scored: sorted, the file does not depend on how many there were.
    ordered = sorted(rows, key=lambda row: row["id"])
    whole = score_summary(ordered, average)
    scored = [row for row in ordered if Outcome(row["outcome"]).is_scored]
    unparsed = sum(row["outcome"] == Outcome.UNPARSED for row in ordered)
    breakdown = {field: by_group(ordered, field, average) for field in fields}
    macro = [found["value"] for found in breakdown[fields[0]].values()] if fields else []
    groups = [value for value in macro if value is not None]
    found: dict[str, Any] = {
        **whole,
        "counts": CompactDict(whole["counts"], outcome_name(whole["counts"])),
        "average": average.rule,
        "scale": average.scale,
        "micro": _per_question(average).of(ordered),
        "macro": sum(groups) / len(groups) if groups else None,
        "also": CompactDict(
            {name: score_summary(ordered, other) for name, other in (also or {}).items()},
            ", ".join(also or {"none": None}),
        ),
        "clusters": len({row["cluster"] for row in ordered}),
        "unparsed_share": 100.0 * unparsed / len(scored) if scored else None,
        "disagreements": sum(_disagrees(row) for row in ordered),
        "breakdown": CompactDict(breakdown, f"{len(breakdown)} fields"),
    }
    return TaskSummary(
        {name: _RoundedFloat(value) if isinstance(value, float) else value for name, value in found.items()}
    )


def score_summary(rows: Sequence[SampleResult], average: Average) -> ScoreSummary:
    """Return an average of rows and what stands behind it."""
    counts = count_outcomes(row["outcome"] for row in rows)
    complete = not counts[Outcome.ERROR] and not counts[Outcome.UNSCORED]
    value, interval = average.of(rows), average.interval(rows)
    return ScoreSummary(
        n=len(rows),
        counts=counts,
        value=value,
        interval=list(interval) if interval else None,
        complete=complete,
        lowest=value if complete else average.of(rows, 0.0),
        highest=value if complete else average.of(rows, 1.0),
    )


def by_group(rows: Sequence[SampleResult], field: str, average: Average) -> dict[str, ScoreSummary]:
    """Return the figure of each of a field's groups, in the order of their names."""
    groups: dict[str, list[SampleResult]] = {}
    for row in rows:
        value = row["groups"].get(field, "")
        for name in [value] if isinstance(value, str) else value:
            groups.setdefault(name, []).append(row)
    return {name: score_summary(groups[name], _per_question(average)) for name in sorted(groups)}


def _per_question(average: Average) -> Average:
    """Return the average within a group: by the judge's scores where there is a judge, else the plain mean."""
    return average if average.is_judged else POOLED


def _disagrees(row: SampleResult) -> bool:
    """Tell whether the reference's way of reading gives another score, or another letter."""
    if row["reference_score"] is None:
        return False
    is_letter = len(row["reference"]) <= 1
    return (row["extracted"] or "") != row["reference"] if is_letter else row["score"] != row["reference_score"]
