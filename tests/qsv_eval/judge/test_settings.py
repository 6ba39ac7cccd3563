"""Where the judge is, and what is checked before it is asked."""

import subprocess
import sys

import pytest

from qsv_eval.judge import JudgeSettings
from qsv_eval.judge.settings import DEFAULT_URL, api_key
from qsv_eval.model_adapters.errors import SetupError


def test_the_environment_names_the_server_unless_one_is_given(monkeypatch):
    assert JudgeSettings.from_environment(model="m").url == DEFAULT_URL
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:8000/v1/")
    assert JudgeSettings.from_environment(model="m", url=None).url == "http://localhost:8000/v1"
    assert JudgeSettings.from_environment(model="m", url="https://other/v1").url == "https://other/v1"


def test_the_full_address_of_the_call_is_understood_too():
    assert JudgeSettings(model="m", url="http://localhost/v1/chat/completions").url == "http://localhost/v1"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "model: Field required"),
        ({"model": ""}, "model: "),
        ({"model": "m", "concurrency": 0}, "concurrency: "),
        ({"model": "m", "timeout_s": float("inf")}, "timeout_s: "),
        ({"model": "m", "url": "localhost:8000"}, "url: .*starts with http"),
        ({"model": "m", "key": "sk-1"}, "key: Extra inputs are not permitted"),
    ],
)
def test_what_is_wrong_is_named(given, said):
    with pytest.raises(SetupError, match=f"judge: {said}"):
        JudgeSettings.from_environment(**given)


def test_only_openai_needs_a_key(monkeypatch):
    assert api_key(JudgeSettings(model="m", url="http://localhost/v1")) == "none"
    with pytest.raises(SetupError, match=r"judge m at https://api\.openai\.com/v1: OPENAI_API_KEY is not set"):
        api_key(JudgeSettings(model="m"))
    monkeypatch.setenv("OPENAI_API_KEY", " sk-1\n")
    assert api_key(JudgeSettings(model="m")) == "sk-1"


def test_dollars():
    assert JudgeSettings(model="m", price=(2.0, 10.0)).dollars(1_000_000, 100_000) == 3.0
    assert JudgeSettings(model="m").dollars(1, 1) is None


def test_verdicts_are_kept_in_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert JudgeSettings(model="m").cache == tmp_path / "qsv_eval" / "judge"


def test_importing_the_judge_brings_nothing_heavy():
    code = "import qsv_eval.judge, sys; print({'torch', 'transformers', 'lmms_eval', 'openai'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
