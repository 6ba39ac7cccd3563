"""Fixtures: an engine with a tiny model, and requests on real clips."""

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
    """A harness without images in memory and conversations."""

    def media(self, request):
        raise AssertionError(f"{request} has no images in memory")

    def next_round(self, request, replies, state):
        raise AssertionError(f"{request} has no rounds")


@pytest.fixture(scope="session")
def tiny_model(tiny):
    from qsv_eval.model_adapters.quicksviewer import load_pretrained

    return load_pretrained(tiny, device="cpu", dtype="float32")


@pytest.fixture
def make_engine(tiny_model, tiny, tmp_path):
    """Make an engine; a second one with the same folder continues the journal, as after a restart."""

    def make(folder="journal", harness=None, accept_degraded=False, **options):
        options = {"readers": 0, "show_progress": False, "reading": ReadSettings((96, 96)), **options}
        settings = AnswerSettings(
            *(checkpoint_fingerprint(str(tiny)), REPLY_VERSION, "float32"), *(FrameRule(), CubeRule(), "pyav", "exact")
        )
        journal = Journal(tmp_path / folder, accept_degraded=accept_degraded)
        return Engine(tiny_model, journal, settings, harness or NoTasks(), EngineOptions(**options))

    return make


@pytest.fixture(scope="session")
def make_request():
    """Make a request about a video, or without media."""

    def make(doc_id, path=None, text="What happens?", task="task", **changes):
        bounds = {name: changes.pop(name) for name in ("start_s", "end_s") if name in changes}
        media = [] if path is None else [{"type": "video", "video": str(path), **bounds}]
        messages = [{"role": "user", "content": [*media, {"type": "text", "text": text}]}]
        values = {"repeat": 0, "sample_id": f"q-{doc_id}", "messages": messages}
        values |= {"generation": GenerationSettings(max_new_tokens=6), "rule": FrameRule()}
        return Request(task, doc_id, "test", **values | changes)

    return make
