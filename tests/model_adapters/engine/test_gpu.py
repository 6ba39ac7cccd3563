"""The engine on a GPU: a prefix that requests share, and fewer frames when memory really runs out."""

import pytest
import torch

from qsv_eval.model_adapters.cubing import CubeRule
from qsv_eval.model_adapters.engine.cache_key import REPLY_VERSION, AnswerSettings
from qsv_eval.model_adapters.engine.engine import Engine
from qsv_eval.model_adapters.engine.journal import Journal
from qsv_eval.model_adapters.engine.records import AnswerStatus
from qsv_eval.model_adapters.engine.worker import EngineOptions
from qsv_eval.model_adapters.frames import FrameRule
from qsv_eval.model_adapters.frames.read_job import ReadSettings
from qsv_eval.model_adapters.quicksviewer import load_pretrained

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")]


@pytest.fixture(scope="module")
def model(tiny):
    return load_pretrained(tiny, device="cuda", dtype="float32")


def engine_of(model, folder, *, degraded=False):
    settings = AnswerSettings("tiny", REPLY_VERSION, "float32", FrameRule(), CubeRule(), "pyav", "exact")
    reading = ReadSettings((96, 96))
    options = EngineOptions(readers=0, show_progress=False, batch_size=2, allow_degraded=degraded, reading=reading)
    return Engine(model, Journal(folder, accept_degraded=degraded), settings, None, options)


def test_requests_that_share_a_prefix_are_answered_as_alone(model, make_request, clips, tmp_path):
    requests = [make_request(i, clips[0], text=f"What is number {i}?") for i in range(2)]
    together = engine_of(model, tmp_path).answer(requests)
    for request, answer in zip(requests, together, strict=True):
        assert answer.text == model.chat(request.messages, max_new_tokens=6).text


def test_with_too_little_memory_the_answer_is_an_error_or_is_marked(model, make_request, clips, tmp_path):
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    requests = [make_request(0, clips[0], rule=FrameRule(fps=8))]
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + (24 << 20)) / total)
    try:
        [refused] = engine_of(model, tmp_path / "strict").answer(requests)
        [degraded] = engine_of(model, tmp_path / "degraded", degraded=True).answer(requests)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert refused.status is AnswerStatus.FAILED or not refused.degraded
    assert degraded.degraded == (refused.status is AnswerStatus.FAILED)
