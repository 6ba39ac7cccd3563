"""Kappa, against the textbook and against its definition."""

import random

import pytest

from qsv_eval.judge import Kappa, Verdict, agreement


def verdicts(scores, correct=None):
    said = correct or [None] * len(scores)
    return {
        f"id{n}": Verdict(judge="j", scores={"score": score}, correct=yes)
        for n, (score, yes) in enumerate(zip(scores, said, strict=True))
    }


def test_fifty_cases_of_the_textbook():
    """20 both yes, 15 both no, 5 and 10 apart: observed 0.7, expected 0.5, kappa 0.4."""
    first = [True] * 20 + [True] * 5 + [False] * 10 + [False] * 15
    second = [True] * 20 + [False] * 5 + [True] * 10 + [False] * 15
    found = agreement(verdicts([1.0] * 50, first), verdicts([1.0] * 50, second)).correct
    assert found.kappa == pytest.approx(0.4)
    assert found.n == 50
    assert set(found.disagreeing) == {f"id{n}" for n in range(20, 35)}


def test_weighted_kappa_by_its_definition():
    dice = random.Random(3)
    first = [float(dice.randint(0, 5)) for _ in range(200)]
    second = [float(min(5, max(0, a + dice.choice([-2, -1, 0, 0, 1])))) for a in first]
    table = {(a, b): 0.0 for a in range(6) for b in range(6)}
    for a, b in zip(first, second, strict=True):
        table[int(a), int(b)] += 1 / 200
    rows = [sum(table[a, b] for b in range(6)) for a in range(6)]
    columns = [sum(table[a, b] for a in range(6)) for b in range(6)]
    observed = sum((a - b) ** 2 * share for (a, b), share in table.items())
    expected = sum((a - b) ** 2 * rows[a] * columns[b] for a, b in table)
    found = agreement(verdicts(first), verdicts(second)).scores["score"]
    assert found.kappa == pytest.approx(1 - observed / expected)
    assert found.disagreeing == tuple(sorted(f"id{n}" for n in range(200) if first[n] != second[n]))


def test_full_agreement_is_one_and_full_opposition_minus_one():
    first = verdicts([0.0, 5.0], [True, False])
    assert agreement(first, first).correct.kappa == agreement(first, first).scores["score"].kappa == 1
    assert agreement(first, verdicts([5.0, 0.0], [False, True])).correct == Kappa(-1, 2, ("id0", "id1"))


def test_no_number_is_made_up_where_there_is_none():
    same = verdicts([3.0, 3.0], [True, True])
    assert agreement(same, same).correct == Kappa(None, 2, ())
    nothing = agreement({}, {})
    assert (nothing.correct, nothing.scores, nothing.unshared) == (Kappa(None, 0, ()), {}, ())


def test_only_shared_cases_count_and_the_others_are_named():
    first, second = verdicts([1.0, 2.0, 3.0]), verdicts([1.0, 2.0])
    found = agreement(first, second)
    assert found.scores["score"].n == 2
    assert found.unshared == ("id2",)
    assert found.correct.n == 0
