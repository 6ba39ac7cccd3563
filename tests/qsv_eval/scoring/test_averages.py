"""Official averages against numbers worked out by hand, and intervals against simulation."""

import math

import numpy as np
import pytest

from qsv_eval.scoring.averages import POOLED, circular, f1_by, mean_by, mean_of_verdicts, points


def row(score, cluster="c", answer="", verdicts=None, wanted=(), notes=None, **groups):
    return {
        "score": score,
        "cluster": cluster,
        "groups": groups,
        "notes": notes or {},
        "answer": answer,
        "verdicts": verdicts or {},
        "wanted": list(wanted),
    }


def test_pooled_leaves_out_what_has_no_score():
    rows = [row(1.0), row(0.0), row(0.5), row(None)]
    assert POOLED.of(rows) == pytest.approx(50.0)
    assert POOLED.of(rows, 0.0) == pytest.approx(37.5)
    assert POOLED.of(rows, 1.0) == pytest.approx(62.5)


def test_nothing_to_average_is_none():
    for average in (POOLED, mean_by("task"), circular("circle"), f1_by("subset", "yes"), points("category", ["a"])):
        assert average.of([]) is None
        assert average.interval([]) is None
    assert POOLED.of([row(None)]) is None
    assert mean_by("task").of([row(None, task="a")]) is None


def test_mlvu_weighs_tasks_and_not_questions():
    """Three of four, none of one, one of two: pooled 4/7, by task (75 + 0 + 50) / 3."""
    rows = [row(score, task="plotQA") for score in (1.0, 1.0, 1.0, 0.0)] + [row(0.0, task="order")]
    rows += [row(1.0, task="count"), row(0.0, task="count")]
    assert mean_by("task").of(rows) == pytest.approx(125 / 3)
    assert POOLED.of(rows) == pytest.approx(400 / 7)


def test_mvbench_is_the_mean_of_twenty():
    rows = [row(float(place < number), subtask=f"s{number}") for number in range(20) for place in range(20)]
    assert mean_by("subtask").of(rows) == pytest.approx(sum(5.0 * number for number in range(20)) / 20)
    # A subtask of which nothing has a score is no zero.
    lost = [*rows, *(row(None, subtask="s20") for _ in range(20))]
    assert mean_by("subtask").of(lost) == mean_by("subtask").of(rows)
    assert mean_by("subtask").of(lost, 0.0) < mean_by("subtask").of(rows) < mean_by("subtask").of(lost, 1.0)


def test_mme_adds_accuracy_and_pairs():
    """Category a: images both, one, none right: 3/6 and 1/3. Category b: one image, both right."""
    scores = {"a1": (1, 1), "a2": (1, 0), "a3": (0, 0), "b1": (1, 1)}
    rows = [row(float(one), image, category=image[0]) for image, pair in scores.items() for one in pair]
    assert points("category", ["a", "b"]).of(rows) == pytest.approx(50 + 100 / 3 + 100 + 100)
    assert points("category", ["a"]).of(rows) == pytest.approx(50 + 100 / 3)
    # A pair of which one question failed is no pair.
    rows[0]["score"] = None
    assert points("category", ["a"]).of(rows) == pytest.approx(100 * 2 / 5 + 0.0)


def test_mmbench_counts_a_question_that_is_right_in_every_order():
    scores = {"1": (1, 1, 1, 1), "2": (1, 1, 0, 1), "3": (1,), "4": (0, 0)}
    rows = [row(float(one), circle, notes={"circle": circle}) for circle, all_ in scores.items() for one in all_]
    assert circular("circle").of(rows) == pytest.approx(50.0)
    assert POOLED.of(rows) == pytest.approx(100 * 8 / 11)
    rows[0]["score"] = None  # of a question that failed once nothing is known
    assert circular("circle").of(rows) == pytest.approx(100 / 3)


def test_pope_is_the_mean_of_the_subsets_f1():
    """Random: 2 hits, 1 false alarm, 1 miss: 4/6. Popular: 1 hit, nothing else: 1."""
    truth = [("yes", 1), ("yes", 1), ("no", 0), ("yes", 0), ("no", 1)]
    rows = [row(float(right), subset="random", answer=answer) for answer, right in truth]
    rows.append(row(1.0, subset="popular", answer="yes"))
    assert f1_by("subset", "yes").of(rows) == pytest.approx(100 * (4 / 6 + 1) / 2)


def test_video_chatgpt_is_the_mean_of_five_dimensions():
    protocols = ("vcg_correctness", "vcg_temporal")
    rows = [
        row(0.8, verdicts={"vcg_correctness": 4.0}, wanted=["vcg_correctness"]),
        row(0.4, verdicts={"vcg_correctness": 2.0}, wanted=["vcg_correctness"]),
        row(1.0, verdicts={"vcg_temporal": 5.0}, wanted=["vcg_temporal"]),
    ]
    average = mean_of_verdicts(protocols)
    assert average.of(rows) == pytest.approx(4.0)
    assert average.scale == "0 to 5"
    failed = [*rows, row(None, wanted=["vcg_temporal"])]
    assert average.of(failed) == pytest.approx(4.0)
    assert (average.of(failed, 0.0), average.of(failed, 1.0)) == (pytest.approx(2.75), pytest.approx(4.0))


def test_mlvu_generation_goes_from_2_to_10():
    average = mean_of_verdicts(("mlvu_subscene", "mlvu_summary"))
    rows = [
        row(0.5, verdicts={"mlvu_subscene": 6.0}, wanted=["mlvu_subscene"]),
        row(1.0, verdicts={"mlvu_summary": 10.0}, wanted=["mlvu_summary"]),
        row(0.0, verdicts={"mlvu_summary": 2.0}, wanted=["mlvu_summary"]),
    ]
    assert average.of(rows) == pytest.approx(6.0)
    assert average.scale == "2 to 10"


def correlated(draw, videos, per_video, correlation, share=0.6):
    """Scores of which those on a video go together."""
    shared = draw.random(videos) < share
    own = draw.random((videos, per_video)) < share
    copies = draw.random((videos, per_video)) < math.sqrt(correlation)
    return np.where(copies, shared[:, None], own)


def test_the_interval_covers_what_it_says():
    """Three questions a video, correlation 0.3: of 1,000 intervals 930 to 970 hold the true share."""
    draw = np.random.default_rng(0)
    held = 0
    for _ in range(1000):
        scores = correlated(draw, 100, 3, 0.3)
        rows = [row(float(one), str(video)) for video, each in enumerate(scores) for one in each]
        low, high = POOLED.interval(rows)
        held += low <= 60.0 <= high
    assert 930 <= held <= 970


def test_the_interval_of_a_mean_of_means_is_wider_where_groups_are_small():
    draw = np.random.default_rng(1)
    rows = [row(float(draw.random() < 0.5), str(n), task="large" if n < 300 else "small") for n in range(310)]
    wide, narrow = mean_by("task").interval(rows), POOLED.interval(rows)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_one_cluster_has_no_interval():
    assert POOLED.interval([row(1.0), row(0.0)]) is None


def test_the_jackknife_is_the_textbook_standard_error():
    rows = [row(float(place % 3 == 0), str(place)) for place in range(60)]
    low, high = POOLED.interval(rows)
    share, n = 1 / 3, 60
    error = 100 * math.sqrt(share * (1 - share) / (n - 1))
    assert (high - low) / 2 == pytest.approx(2.001 * error, rel=1e-3)


def test_an_interval_ends_where_the_scale_does():
    rows = [row(score, f"v{number}") for number, score in enumerate([1.0, 1.0, 0.0])]
    low, high = POOLED.interval(rows)
    assert (low, high) == (0.0, 100.0)


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_where_all_score_the_same_no_interval_can_be_told(score):
    assert POOLED.interval([row(score, f"v{number}") for number in range(9)]) is None
