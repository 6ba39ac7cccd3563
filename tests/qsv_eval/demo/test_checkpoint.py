"""The built-in model: small, and it sees."""

import json
import re

import pytest

from qsv_eval.demo import CHECKPOINT, KINDS
from qsv_eval.model_adapters.quicksviewer import load_pretrained
from qsv_eval.tiny.evaluate import accuracy, evaluate_clips


@pytest.fixture(scope="module")
def model():
    return load_pretrained(CHECKPOINT, device="cpu", dtype="float32")


def test_it_is_small(model):
    assert sum(parameter.numel() for parameter in model.model.parameters()) <= 6e6
    assert sum(path.stat().st_size for path in CHECKPOINT.iterdir()) <= 12e6
    assert json.loads((CHECKPOINT / "config.json").read_text())["dtype"] == "float16"


@pytest.fixture(scope="module")
def shown(model):
    return evaluate_clips(model, clips=24)


def test_it_sees_and_does_not_guess_from_the_words(model, shown):
    blind = evaluate_clips(model, clips=24, blind=True)
    assert {one.kind for one in shown.answers} == set(KINDS)
    assert accuracy(shown.answers) > 0.65
    assert accuracy(blind.answers) < 0.4
    assert shown.found_cuts["difference"] > 0.9 * shown.true_cuts


def test_its_gate_cuts_where_scenes_do(shown):
    assert shown.found_cuts["learned"] > 0.65 * shown.true_cuts
    assert shown.found_cuts["equal"] < 0.3 * shown.true_cuts


def test_its_card_says_how_it_was_made():
    card = (CHECKPOINT / "README.md").read_text()
    assert re.search(r"\| tiny_stage3 \| \d+ \|", card)
    for picture in re.findall(r"]\((\w+\.png)\)", card):
        assert (CHECKPOINT / picture).is_file()
