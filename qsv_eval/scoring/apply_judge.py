"""Judging of samples: build judge requests from unscored samples, and outcomes from verdicts.

A sample without a verdict stays unscored, with the reason. Where a benchmark judges two replies together, the verdict
belongs to the first sample of the pair, and the second takes over its outcome.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from qsv_eval.judge.cost import Accounting
from qsv_eval.judge.rubrics import Rubric, rubric_named
from qsv_eval.judge.run import judge_requests
from qsv_eval.judge.settings import JudgeSettings
from qsv_eval.judge.types import JudgeRequest, Verdict
from qsv_eval.scoring.sample_result import Extraction, Outcome, SampleResult, is_failure, with_extraction

__all__ = ["JudgedSamples", "judge_requests_of", "judge_samples"]

_RIGHT_FROM: Final = 0.5
"""Share of the judge's scale from which a reply is counted as `correct`."""


class JudgedSamples(NamedTuple):
    """Rows with the outcomes of their verdicts, and the cost of judging."""

    rows: list[SampleResult]
    accounting: Accounting


def judge_samples(rows: Iterable[SampleResult], settings: JudgeSettings, *, progress: bool = True) -> JudgedSamples:
    """Judge all rows that wait for a judge; return the others unchanged."""
    rows = list(rows)
    units = list(_units(rows))
    cases = [case for unit in units for case in unit.cases]
    judged = judge_requests(cases, settings, progress=progress)
    changed: dict[int, SampleResult] = {}
    for unit in units:
        changed |= unit.apply(judged.verdicts, judged.failures)
    return JudgedSamples([changed.get(place, row) for place, row in enumerate(rows)], judged.accounting)


def judge_requests_of(rows: Iterable[SampleResult]) -> list[JudgeRequest]:
    """Return the judge requests of rows that wait for a judge."""
    return [case for unit in _units(list(rows)) for case in unit.cases]


class _JudgedUnit(NamedTuple):
    """Rows that share their verdicts: a single row or a pair."""

    members: list[tuple[int, SampleResult]]
    cases: list[JudgeRequest]

    def apply(self, verdicts: Mapping[str, Verdict], failures: Mapping[str, str]) -> dict[int, SampleResult]:
        """Return the judged rows by index."""
        (place, owner), *partners = self.members
        reading = _reading(owner, self.cases, verdicts, failures)
        partner = reading._replace(wanted=(), verdicts={})
        return {place: with_extraction(owner, reading)} | {
            other: with_extraction(row, partner._replace(extracted=row["extracted"])) for other, row in partners
        }


def _units(rows: Sequence[SampleResult]) -> Iterator[_JudgedUnit]:
    pairs: dict[str, list[tuple[int, SampleResult]]] = {}
    for place, row in enumerate(rows):
        if name := row["notes"].get("pair"):
            pairs.setdefault(name, []).append((place, row))
        elif _waits(row):
            yield _JudgedUnit([(place, row)], [_case(row, name, _fields(row)) for name in row["wanted"]])
    for members in pairs.values():
        members.sort(key=lambda member: member[1]["id"])
        pair = [row for _, row in members]
        if any(map(_waits, pair)):
            whole = len(pair) == 2 and not any(map(is_failure, pair))
            cases = [_case(pair[0], name, _pair_fields(*pair)) for name in pair[0]["wanted"]] if whole else []
            yield _JudgedUnit(members if whole else [one for one in members if _waits(one[1])], cases)


def _waits(row: SampleResult) -> bool:
    return row["outcome"] == Outcome.UNSCORED and bool(row["wanted"])


def _case(row: SampleResult, protocol: str, fields: Mapping[str, str]) -> JudgeRequest:
    known = rubric_named(protocol).fields
    return JudgeRequest(f"{row['id']} {protocol}", protocol, {name: fields.get(name, "") for name in known})


def _fields(row: SampleResult) -> dict[str, str]:
    return {"question": row["question"], "truth": row["answer"], "reply": row["reply"], **row["notes"]}


def _pair_fields(first: SampleResult, second: SampleResult) -> dict[str, str]:
    return {
        "question_1": first["question"],
        "question_2": second["question"],
        "truth": first["answer"],
        "reply_1": first["reply"],
        "reply_2": second["reply"],
    }


def _reading(
    row: SampleResult, cases: Sequence[JudgeRequest], verdicts: Mapping[str, Verdict], failures: Mapping[str, str]
) -> Extraction:
    before = Extraction(Outcome.UNSCORED, None, row["extracted"], "judge", wanted=row["wanted"])
    if not cases:
        return before._replace(reason="the other question of its pair has no reply")
    if failed := [f"{case.protocol}: {failures[case.id]}" for case in cases if case.id in failures]:
        return before._replace(reason="; ".join(failed))
    found = {case.protocol: verdicts[case.id] for case in cases}
    sums = {name: sum(verdict.scores.values()) for name, verdict in found.items()}
    shares = [_share(total, rubric_named(name)) for name, total in sums.items()]
    said = [verdict.correct for verdict in found.values() if verdict.correct is not None]
    # Where the judge says yes or no, that is the score; where it only grades, the grades are.
    score = float(all(said)) if said else sum(shares) / len(shares)
    outcome = Outcome.CORRECT if score >= _RIGHT_FROM else Outcome.WRONG
    return before._replace(outcome=outcome, score=score, verdicts=sums)


def _share(total: float, protocol: Rubric) -> float:
    """Return a sum of scores as a fraction of the rubric's scale."""
    return (total - protocol.lowest) / (protocol.highest - protocol.lowest)
