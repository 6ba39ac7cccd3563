"""Cost of answers, as the results file states it."""

import pytest
from seen_runs import demo_rows, record_of

from qsv_eval.leaderboard.records import PARTS, task_cost
from qsv_eval.model_adapters.engine.metrics import AnswerCost, summarise_costs
from qsv_eval.model_adapters.stage_timer import STAGES


def test_every_stage_is_in_one_part():
    assert sorted(stage for stages in PARTS.values() for stage in stages) == sorted(STAGES)


def test_frames_really_used_and_their_cost():
    rows = demo_rows(["right"] * 20)
    counts = [*range(4, 80, 4), 420]
    records = [record_of(row, count) for row, count in zip(rows, counts, strict=True)]
    usage = task_cost(summarise_costs([AnswerCost.of(record) for record in records]))
    assert usage.answers == 20
    assert usage.frames == pytest.approx(sum(counts) / 20)
    assert usage.frames_p5 < 9 < 70 < usage.frames_p95 < 420
    assert usage.visual_tokens == pytest.approx(64 * sum(counts) / 4 / 20)
    assert usage.tokens_per_frame == pytest.approx(16)
    assert usage.total_s == pytest.approx(1.15 * sum(counts) / 8 / 20)
    assert usage.seconds["language model"] == pytest.approx(0.5 * sum(counts) / 8 / 20)
    assert usage.read_s == pytest.approx(0.25)


def test_nothing_stored_is_nothing_known():
    assert task_cost({}) is None
