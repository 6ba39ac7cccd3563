"""The numbers of a benchmark, by hand."""

import pytest

from qsv_eval.judge import Case, Verdict, mlvu_g_avg, score_cases, video_chatgpt_average

CASES = [Case(f"id{n}", "open_qa", {}) for n in range(4)]


def said(correct=None, **scores):
    return Verdict(judge="j", scores={name: float(score) for name, score in scores.items()}, correct=correct)


def test_what_has_no_verdict_is_in_no_mean():
    found = score_cases(CASES, {"id0": said(True, score=5), "id1": said(False, score=1), "id3": said(True, score=3)})
    score = found["open_qa"]
    assert (score.n, score.unscored) == (3, 1)
    assert score.accuracy == pytest.approx(100 * 2 / 3)
    assert score.means == {"score": 3.0}


def test_nothing_scored_is_no_number():
    score = score_cases(CASES, {})["open_qa"]
    assert (score.n, score.unscored, score.accuracy, score.means, score.total) == (0, 4, None, {}, None)


def test_the_average_of_five_dimensions_needs_all_five():
    names = ["correctness", "detail", "context", "temporal", "consistency"]
    cases = [Case(name, f"vcg_{name}", {}) for name in names]
    verdicts = {name: said(score=number) for number, name in enumerate(names)}
    assert video_chatgpt_average(score_cases(cases, verdicts)) == 2.0
    assert score_cases(cases, verdicts)["vcg_detail"].accuracy is None
    del verdicts["detail"]
    assert video_chatgpt_average(score_cases(cases, verdicts)) is None
    assert video_chatgpt_average({}) is None


def test_g_avg_weighs_tasks_the_same_however_many_cases_they_have():
    cases = [Case("s", "mlvu_subscene", {}), *(Case(f"m{n}", "mlvu_summary", {}) for n in range(3))]
    verdicts = {"s": said(accuracy=2, relevance=4)}
    verdicts |= {f"m{n}": said(completeness=1, reliability=n + 1) for n in range(3)}
    scores = score_cases(cases, verdicts)
    assert scores["mlvu_summary"].means == {"completeness": 1.0, "reliability": 2.0}
    assert mlvu_g_avg(scores) == ((2 + 4) + (1 + 2)) / 2
