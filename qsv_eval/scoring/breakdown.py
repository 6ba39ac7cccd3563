"""One summary of a run's outcomes: overall, and by every field that the benchmark groups its questions by.

lmms-eval's own Video-MME only prints its breakdown (spec/benchmarks.md section 2.4). This one is the value of a
metric, so lmms-eval stores it whole in the results file.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from qsv_eval.scoring.outcome import Outcome, Tally

__all__ = ["Brief", "OutcomeSummary", "summarise"]


class Brief(dict[str, Any]):
    """A plain mapping for the results file that shows as a few words inside of another.

    lmms-eval prints a metric through pytablewriter, which makes a plain `dict` of any mapping and prints that. So the
    whole cannot have a short form of its own, but its parts can.
    """

    def __init__(self, content: Mapping[str, Any], shown: str) -> None:
        super().__init__(content)
        self.shown = shown

    def __repr__(self) -> str:
        return self.shown


class _Percent(float):
    """Stored in full, shown with one digit."""

    def __repr__(self) -> str:
        return f"{self:.1f}"


class OutcomeSummary(dict[str, Any]):
    """The value of the metric `outcome`, stored whole; `str` gives it in one line.

    Keys: those of `outcome.Summary`; `unparsed_share`, the percentage of scored questions whose reply held no
    readable answer; `disagreements`, on how many replies the reference's extractor reads another letter than ours;
    and `breakdown`, {field: {value: Summary}}.
    """

    def __str__(self) -> str:
        return str(Tally(**self["counts"]))


def summarise(rows: Iterable[Mapping[str, Any]], fields: Sequence[str]) -> OutcomeSummary:
    """Summarise rows with `id`, `outcome`, `extracted`, `reference_extracted` and the fields to group by."""
    # lmms-eval concatenates what the processes scored: sorted, the file does not depend on how many there were.
    ordered = sorted(rows, key=lambda row: str(row["id"]))
    tally = _tally(ordered)
    breakdown = {field: _by_value(ordered, field) for field in fields}
    summary = OutcomeSummary(
        tally.summary(),
        counts=Brief(tally.counts, tally.named),
        unparsed_share=100.0 * tally.unparsed / tally.n_scored if tally.n_scored else None,
        disagreements=sum((row["extracted"] or "") != (row["reference_extracted"] or "") for row in ordered),
        breakdown=Brief(breakdown, f"{len(breakdown)} fields"),
    )
    return OutcomeSummary(
        {name: _Percent(value) if isinstance(value, float) else value for name, value in summary.items()}
    )


def _by_value(rows: Sequence[Mapping[str, Any]], field: str) -> dict[str, Mapping[str, Any]]:
    """Group by one field, in the order in which its values first occur."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(str(row[field]), []).append(row)
    return {value: _tally(group).summary() for value, group in groups.items()}


def _tally(rows: Iterable[Mapping[str, Any]]) -> Tally:
    return Tally.of(Outcome(row["outcome"]) for row in rows)
