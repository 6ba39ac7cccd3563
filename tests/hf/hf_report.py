"""The table at the end of `tox -e hf`: tests by class, and the reasons of those that were not run."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import pytest

__all__ = ["NOT_APPLICABLE_MARK", "report_lines"]

NOT_APPLICABLE_MARK = "not applicable: "
"""Beginning of the reasons from `not_applicable.py`; other reasons are those of transformers' mixins."""
_COLUMNS = ("run", "passed", "failed", "not applicable", "skipped by transformers")


def report_lines(stats: Mapping[str, Iterable[pytest.TestReport]]) -> list[str]:
    """Return the table of the tests of classes in tests/hf, then each reason with its number of tests."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    reasons: Counter[tuple[str, str]] = Counter()
    failed = {report.nodeid for report in stats.get("failed", ())}
    for node in failed:
        counts[_class_of(node)].update(("run", "failed"))
    for report in stats.get("passed", ()):
        if type(report) is pytest.TestReport and report.when == "call" and report.nodeid not in failed:
            counts[_class_of(report.nodeid)].update(("run", "passed"))
    for report in stats.get("skipped", ()):
        reason = _reason_of(report)
        kind = "not applicable" if reason.startswith(NOT_APPLICABLE_MARK) else "skipped by transformers"
        counts[_class_of(report.nodeid)].update((kind,))
        reasons[kind, reason.removeprefix(NOT_APPLICABLE_MARK)] += 1
    counts.pop("", None)
    if not counts:
        return []
    rows = [("", *_COLUMNS), *((name, *(str(counts[name][key]) for key in _COLUMNS)) for name in sorted(counts))]
    rows.append(("all", *(str(sum(count[key] for count in counts.values())) for key in _COLUMNS)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = [f"{row[0]:<{widths[0]}}  " + "  ".join(map(str.rjust, row[1:], widths[1:])) for row in rows]
    listed = [f"{number:5d} {kind}: {reason}" for (kind, reason), number in sorted(reasons.items())]
    return [*table, "", *listed]


def _class_of(node: str) -> str:
    """Return the class of a test, or nothing for a test that has none or lies elsewhere."""
    path, *names = node.partition("[")[0].split("::")
    return names[0] if path.startswith("tests/hf/") and len(names) == 2 else ""


def _reason_of(report: pytest.TestReport) -> str:
    skipped = report.longrepr
    reason = skipped[2] if isinstance(skipped, tuple) else str(skipped)
    return reason.removeprefix("Skipped: ")
