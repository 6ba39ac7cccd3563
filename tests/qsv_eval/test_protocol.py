from dataclasses import fields, replace

import pytest

from qsv_eval.protocol import Protocol, ScoringSettings, differences, library_versions

PROTOCOL = Protocol(
    task="qsv_demo",
    prompt="{question}",
    generation={"max_new_tokens": 8},
    answers={"dtype": "float32", "frame_rule": {"fps": 1.0, "max_frames": 420}},
    scoring=ScoringSettings("strict", "pooled"),
    environment={"torch": "2.14.1"},
)
CHANGED = {
    "task": "qsv_videomme",
    "prompt": "Q: {question}",
    "generation": {"max_new_tokens": 9},
    "answers": None,
    "scoring": ScoringSettings("strict", "pooled", judge="someone"),
    "environment": {"torch": "2.15.0"},
}


def test_equal_records_have_equal_hashes():
    assert PROTOCOL.hash == replace(PROTOCOL).hash
    assert PROTOCOL.as_dict()["hash"] == PROTOCOL.hash


@pytest.mark.parametrize("name", [field.name for field in fields(Protocol)])
def test_every_field_changes_the_hash(name):
    assert replace(PROTOCOL, **{name: CHANGED[name]}).hash != PROTOCOL.hash


@pytest.mark.parametrize("name", [field.name for field in fields(ScoringSettings)])
def test_every_scoring_choice_changes_the_hash(name):
    scoring = replace(PROTOCOL.scoring, **{name: "other"})
    assert replace(PROTOCOL, scoring=scoring).hash != PROTOCOL.hash


def test_differences_are_readable():
    other = replace(PROTOCOL, answers={"dtype": "float32", "frame_rule": {"fps": 1.0, "max_frames": 64}})
    found = differences(PROTOCOL.as_dict(), other.as_dict())
    assert found == {"answers.frame_rule.max_frames": (420, 64)}
    assert differences(PROTOCOL.as_dict(), replace(other, answers=None).as_dict())["answers"][1] is None


def test_versions():
    assert {"torch", "transformers", "lmms-eval", "av", "python"} <= set(library_versions())
