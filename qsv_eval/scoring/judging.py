"""Scores from a judge: rows that wait for one become cases, and verdicts become outcomes.

A row that gets no verdict stays unscored, with the reason. Where a benchmark judges two replies together, the verdict
belongs to the first row of the pair, and the second has its outcome.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from qsv_eval.judge.accounting import Accounting
from qsv_eval.judge.case import Case, Verdict
from qsv_eval.judge.protocols import Protocol, protocol_named
from qsv_eval.judge.run import judge_cases
from qsv_eval.judge.settings import JudgeSettings
from qsv_eval.scoring.outcome import Outcome
from qsv_eval.scoring.row import Reading, Row, is_failure, with_reading

__all__ = ["JudgedRows", "cases_of", "judge_rows"]

_RIGHT_FROM: Final = 0.5
"""A reply that a judge gives at least so much of its scale is counted as `correct` among the outcomes."""


class JudgedRows(NamedTuple):
    """Rows after a judging."""

    rows: list[Row]
    accounting: Accounting


def judge_rows(rows: Iterable[Row], settings: JudgeSettings, *, progress: bool = True) -> JudgedRows:
    """Put all rows that wait for a judge before one; the others are returned as they are."""
    rows = list(rows)
    units = list(_units(rows))
    cases = [case for unit in units for case in unit.cases]
    judged = judge_cases(cases, settings, progress=progress)
    changed: dict[int, Row] = {}
    for unit in units:
        changed |= unit.apply(judged.verdicts, judged.failures)
    return JudgedRows([changed.get(place, row) for place, row in enumerate(rows)], judged.accounting)


def cases_of(rows: Iterable[Row]) -> list[Case]:
    """Return what a judge is asked for rows that wait for one."""
    return [case for unit in _units(list(rows)) for case in unit.cases]


class _Unit(NamedTuple):
    """Rows that are judged together: one, or a pair."""

    members: list[tuple[int, Row]]
    cases: list[Case]

    def apply(self, verdicts: Mapping[str, Verdict], failures: Mapping[str, str]) -> dict[int, Row]:
        """Return the rows as the verdicts make them, by their places."""
        (place, owner), *partners = self.members
        reading = _reading(owner, self.cases, verdicts, failures)
        partner = reading._replace(wanted=(), verdicts={})
        return {place: with_reading(owner, reading)} | {
            other: with_reading(row, partner._replace(extracted=row["extracted"])) for other, row in partners
        }


def _units(rows: Sequence[Row]) -> Iterator[_Unit]:
    pairs: dict[str, list[tuple[int, Row]]] = {}
    for place, row in enumerate(rows):
        if name := row["notes"].get("pair"):
            pairs.setdefault(name, []).append((place, row))
        elif _waits(row):
            yield _Unit([(place, row)], [_case(row, name, _fields(row)) for name in row["wanted"]])
    for members in pairs.values():
        members.sort(key=lambda member: member[1]["id"])
        pair = [row for _, row in members]
        if any(map(_waits, pair)):
            whole = len(pair) == 2 and not any(map(is_failure, pair))
            cases = [_case(pair[0], name, _pair_fields(*pair)) for name in pair[0]["wanted"]] if whole else []
            yield _Unit(members if whole else [one for one in members if _waits(one[1])], cases)


def _waits(row: Row) -> bool:
    return row["outcome"] == Outcome.UNSCORED and bool(row["wanted"])


def _case(row: Row, protocol: str, fields: Mapping[str, str]) -> Case:
    known = protocol_named(protocol).fields
    return Case(f"{row['id']} {protocol}", protocol, {name: fields.get(name, "") for name in known})


def _fields(row: Row) -> dict[str, str]:
    return {"question": row["question"], "truth": row["answer"], "reply": row["reply"], **row["notes"]}


def _pair_fields(first: Row, second: Row) -> dict[str, str]:
    return {
        "question_1": first["question"],
        "question_2": second["question"],
        "truth": first["answer"],
        "reply_1": first["reply"],
        "reply_2": second["reply"],
    }


def _reading(row: Row, cases: Sequence[Case], verdicts: Mapping[str, Verdict], failures: Mapping[str, str]) -> Reading:
    before = Reading(Outcome.UNSCORED, None, row["extracted"], "judge", wanted=row["wanted"])
    if not cases:
        return before._replace(reason="the other question of its pair has no reply")
    if failed := [f"{case.protocol}: {failures[case.id]}" for case in cases if case.id in failures]:
        return before._replace(reason="; ".join(failed))
    found = {case.protocol: verdicts[case.id] for case in cases}
    sums = {name: sum(verdict.scores.values()) for name, verdict in found.items()}
    shares = [_share(total, protocol_named(name)) for name, total in sums.items()]
    said = [verdict.correct for verdict in found.values() if verdict.correct is not None]
    # Where the judge says yes or no, that is the score; where it only grades, the grades are.
    score = float(all(said)) if said else sum(shares) / len(shares)
    outcome = Outcome.CORRECT if score >= _RIGHT_FROM else Outcome.WRONG
    return before._replace(outcome=outcome, score=score, verdicts=sums)


def _share(total: float, protocol: Protocol) -> float:
    """Return how far a sum of scores is from the lowest to the highest that there is."""
    return (total - protocol.lowest) / (protocol.highest - protocol.lowest)
