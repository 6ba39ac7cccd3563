"""Trying out a model on clips drawn on the spot."""

import pytest

from qsv_eval.demo.scene import make_clip
from qsv_eval.model_adapters.quicksviewer import load_pretrained
from qsv_eval.tiny.evaluate import CUT_RULES, evaluate_clips


@pytest.fixture(scope="module")
def model(tiny):
    return load_pretrained(tiny, device="cpu")


def test_every_clip_is_asked_about_every_kind(model):
    trial = evaluate_clips(model, clips=2, per_kind=2)
    assert {one.clip for one in trial.answers} == {make_clip("val", index).clip_id for index in range(2)}
    assert len({one.question for one in trial.answers}) == len(trial.answers) >= 14
    metrics = trial.metrics()
    assert metrics["accuracy"] == sum(one.right for one in trial.answers) / len(trial.answers)
    assert {f"{rule}_cut_recall" for rule in CUT_RULES} <= metrics.keys()


def test_cuts_where_frames_differ_are_the_true_ones(model):
    trial = evaluate_clips(model, clips=3)
    assert trial.true_cuts == sum(len(make_clip("val", index).cuts) for index in range(3))
    assert trial.found_cuts["difference"] > trial.found_cuts["equal"]


def test_blind_it_sees_no_cuts(model):
    seen = []
    trial = evaluate_clips(
        model, clips=1, blind=True, progress=lambda indices: (seen.append(index) or index for index in indices)
    )
    assert seen == [0]
    assert not trial.found_cuts
    assert set(trial.metrics()) == {"accuracy", *(f"{one.kind}_accuracy" for one in trial.answers)}
