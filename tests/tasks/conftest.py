"""A Video-MME of six videos in the official layout, and models that answer from the table, for lmms-eval to run."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest

from qsv_eval.tasks import FOLDER

DURATIONS = ("short", "medium", "long")
DOMAINS = ("Knowledge", "Film & Television")


def videomme_rows() -> list[dict[str, Any]]:
    """Six videos with three questions each; the answers are A six times, B five, C four, D three times."""
    answers = "ABCDABCABCDABCDABA"
    return [
        {
            "video_id": f"{video:03d}",
            "duration": DURATIONS[video % 3],
            "domain": DOMAINS[video // 3],
            "sub_category": "Geography",
            "url": f"https://www.youtube.com/watch?v=vid{video}",
            "videoID": f"vid{video}",
            "question_id": f"{video:03d}-{k + 1}",
            "task_type": ("Counting Problem", "Action Reasoning", "OCR Problems")[k],
            "question": f"What is seen in {video}, {k}?",
            "options": [
                f"{letter}. {word}." for letter, word in zip("ABCD", ("Red", "Green", "Blue", "White"), strict=True)
            ],
            "answer": answers[3 * video + k],
        }
        for video in range(6)
        for k in range(3)
    ]


def write_videomme(root: Path, rows: list[dict[str, Any]]) -> None:
    (root / "videomme" / "videomme").mkdir(parents=True)
    (root / "videomme" / "data").mkdir()
    pd.DataFrame(rows).to_parquet(root / "videomme" / "videomme" / "test-00000-of-00001.parquet")
    for stem in {row["videoID"] for row in rows}:
        (root / "videomme" / "data" / f"{stem}.mp4").write_bytes(b"not a video; the model here never looks")


@pytest.fixture(scope="session", autouse=True)
def _caches(tmp_path_factory):
    """Keep lmms-eval and datasets out of the user's own caches."""
    os.environ["LMMS_EVAL_DATASETS_CACHE"] = str(tmp_path_factory.mktemp("datasets"))


@pytest.fixture
def empty_machine(tmp_path, monkeypatch) -> Path:
    """A machine without any benchmark; returns its QSV_DATA."""
    root = tmp_path / "qsv_data"
    root.mkdir()
    monkeypatch.setenv("QSV_DATA", str(root))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf_home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return root


@pytest.fixture
def videomme(empty_machine) -> list[dict[str, Any]]:
    rows = videomme_rows()
    write_videomme(empty_machine, rows)
    return rows


@pytest.fixture(scope="session")
def task_manager():
    from lmms_eval.tasks import TaskManager

    return TaskManager(include_path=[str(FOLDER)], include_defaults=False)


class Run(NamedTuple):
    """Results of lmms-eval, and the requests that the model received."""

    results: dict[str, Any]
    requests: list[Any]

    def metric(self, task: str, name: str) -> Any:
        return self.results["results"][task][f"{name},none"]


@pytest.fixture(scope="session")
def fake_models():
    """The model classes, chat and simple: both reply with `answer(doc)` and keep their requests."""
    from lmms_eval.api.model import lmms

    class Fake(lmms):
        def __init__(self, answer: Callable[[dict], Any]) -> None:
            super().__init__()
            self.answer, self.asked = answer, []

        def generate_until(self, requests):
            self.asked = [request.args for request in requests]
            return [self.answer(self.task_dict[task][split][doc_id]) for *_, doc_id, task, split in self.asked]

        def loglikelihood(self, requests):
            raise NotImplementedError

        def generate_until_multi_round(self, requests):
            raise NotImplementedError

    class Chat(Fake):
        is_simple = False

    class Simple(Fake):
        is_simple = True

    return {"chat": Chat, "simple": Simple}


@pytest.fixture
def evaluate(task_manager, fake_models) -> Callable[..., Run]:
    def run(task: str, answer: Callable[[dict], Any], *, kind: str = "chat", limit: int | None = None) -> Run:
        from lmms_eval.evaluator import simple_evaluate

        model = fake_models[kind](answer)
        results = simple_evaluate(model, tasks=[task], task_manager=task_manager, limit=limit, batch_size=1)
        return Run(results, model.asked)

    return run
