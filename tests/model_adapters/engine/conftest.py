"""A real engine on real clips."""

import pytest

from qsv_eval.model_adapters.cubing import CubeRule
from qsv_eval.model_adapters.engine.cache_key import REPLY_VERSION, AnswerSettings, checkpoint_fingerprint
from qsv_eval.model_adapters.engine.engine import Engine
from qsv_eval.model_adapters.engine.journal import Journal
from qsv_eval.model_adapters.engine.request import GenerationSettings, Request
from qsv_eval.model_adapters.engine.worker import EngineOptions
from qsv_eval.model_adapters.frames import FrameRule
from qsv_eval.model_adapters.frames.read_job import ReadSettings


class NoTasks:
    """A harness that has nothing in memory and leads no conversations."""

    def media(self, question):
        raise AssertionError(f"{question} has no images in memory")

    def next_round(self, question, replies, state):
        raise AssertionError(f"{question} has no rounds")


@pytest.fixture(scope="session")
def tiny_model(tiny):
    from qsv_eval.model_adapters.quicksviewer import load_pretrained

    return load_pretrained(tiny, device="cpu", dtype="float32")


@pytest.fixture
def make_engine(tiny_model, tiny, tmp_path):
    """Make an engine; the same folder is the same journal, as after a restart."""

    def make(folder="journal", harness=None, accept_degraded=False, **options):
        options = {"readers": 0, "show_progress": False, "reading": ReadSettings((96, 96)), **options}
        settings = AnswerSettings(
            *(checkpoint_fingerprint(str(tiny)), REPLY_VERSION, "float32"),
            *(FrameRule(), CubeRule(), "pyav", "exact"),
        )
        journal = Journal(tmp_path / folder, accept_degraded=accept_degraded)
        return Engine(tiny_model, journal, settings, harness or NoTasks(), EngineOptions(**options))

    return make


@pytest.fixture(scope="session")
def question():
    """Make a question about a video, or about nothing."""

    def make(number, path=None, words="What happens?", task="task", **changes):
        bounds = {name: changes.pop(name) for name in ("start_s", "end_s") if name in changes}
        media = [] if path is None else [{"type": "video", "video": str(path), **bounds}]
        messages = [{"role": "user", "content": [*media, {"type": "text", "text": words}]}]
        values = {"repeat": 0, "sample_id": f"q-{number}", "messages": messages}
        values |= {"generation": GenerationSettings(max_new_tokens=6), "rule": FrameRule()}
        return Request(task, number, "test", **values | changes)

    return make
