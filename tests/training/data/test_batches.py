from itertools import islice

import numpy as np
import pytest

from qsv_eval.training.data.batches import MicroBatches, fill_step
from qsv_eval.training.recipe import Batching


@pytest.fixture
def costs():
    return np.random.default_rng(0).integers(10, 400, 1000)


def plan(costs, **changes):
    return MicroBatches.plan(costs, Batching(**{"micro_batches": 4, "tokens": 1000, **changes}))


def test_an_epoch_draws_every_sample_at_most_once(costs):
    drawn = [sample for batch in plan(costs).batches for sample in batch]
    assert len(drawn) == len(set(drawn)) > 0.97 * len(costs)


def test_micro_batches_are_almost_full_and_never_above_the_limit(costs):
    loads = [costs[list(batch)].sum() for batch in plan(costs).batches]
    assert max(loads) <= 1000
    assert np.mean(loads) > 900


def test_a_sample_above_the_limit_gets_its_own_micro_batch():
    costs = np.array([5000, 10, 10, 10, 10, 10, 10, 10])
    batches = plan(costs, micro_batches=2).batches
    assert (0,) in batches


def test_the_seed_determines_the_order(costs):
    assert plan(costs).batches == plan(costs).batches != plan(costs, seed=1).batches


def test_every_epoch_is_shuffled_anew(costs):
    drawn = [sample for batch in plan(costs, epochs=2).batches for sample in batch]
    assert len(drawn) > 1.97 * len(costs)
    assert drawn[:1000] != drawn[1000:2000]
    assert max(np.bincount(drawn)) == 2


def test_steps_repeat_the_data_if_needed(costs):
    assert len(plan(costs[:20], steps=50)) == 50 * 4


def test_draws_have_consecutive_serials(costs):
    draws = [draw for batch in islice(plan(costs), 10) for draw in batch]
    assert [draw.serial for draw in draws] == list(range(len(draws)))


def test_samples_that_do_not_fit_wait_for_the_next_step():
    costs = np.array([60, 60, 60, 60])
    step, left = fill_step(costs, iter(range(4)), [], micro_batches=2, limit=100)
    assert [len(batch) for batch in step] == [1, 1]
    assert len(left) == 2
    assert sorted([*sum(step, ()), *left]) == [0, 1, 2, 3]


def test_too_few_samples_give_no_step():
    assert len(plan(np.array([], int))) == 0
    assert len(plan(np.array([5]))) == 0
