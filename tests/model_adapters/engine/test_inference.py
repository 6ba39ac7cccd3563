"""Out of memory and failed batches: errors are raised in place of the model's functions."""

import pytest
import torch

from qsv_eval.model_adapters.engine import inference
from qsv_eval.model_adapters.engine.records import AnswerStatus
from qsv_eval.model_adapters.quicksviewer import Quicksviewer

ANSWERED, FAILED = AnswerStatus.ANSWERED, AnswerStatus.FAILED


@pytest.fixture
def starve(monkeypatch):
    """Let generation run out of memory when `too_much(prompts, prefix)` says so; counts the attempts."""
    generate, attempts = inference.generate, []

    def install(too_much):
        def starved(model, prompts, config, prefix=inference.NO_PREFIX):
            attempts.append(len(prompts))
            if too_much(prompts, prefix):
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
            return generate(model, prompts, config, prefix)

        monkeypatch.setattr(inference, "generate", starved)
        return attempts

    return install


def on_one_video(make_request, clips, count=3):
    return [make_request(i, clips[0], text=f"Number {i}?") for i in range(count)]


def test_a_batch_that_runs_out_of_memory_is_answered_one_by_one(make_engine, make_request, clips, starve):
    requests = on_one_video(make_request, clips)
    expected = make_engine(folder="fed").answer(requests)
    attempts = starve(lambda prompts, prefix: len(prompts) > 1)
    answers = make_engine(batch_size=3).answer(requests)
    assert [answer.text for answer in answers] == [answer.text for answer in expected]
    assert not any(answer.degraded for answer in answers)
    assert attempts == [3, 1, 1, 1]


def test_a_request_that_runs_out_of_memory_is_tried_again_without_the_prefix(make_engine, make_request, clips, starve):
    attempts = starve(lambda prompts, prefix: prefix.length > 0)
    answers = make_engine().answer(on_one_video(make_request, clips))
    assert [answer.status for answer in answers] == [ANSWERED] * 3
    assert attempts == [1, 1] * 3


def test_without_allow_degraded_out_of_memory_is_an_error(make_engine, make_request, clips, starve):
    attempts = starve(lambda prompts, prefix: True)
    [answer] = make_engine().answer([make_request(0, clips[0])])
    assert answer.status is FAILED
    assert "out of memory" in answer.reason
    assert attempts == [1, 1]


def test_allow_degraded_uses_fewer_frames(make_engine, make_request, clips, starve):
    attempts = starve(lambda prompts, prefix: len(prompts[0].visual.starts_T) > 8)
    engine = make_engine(allow_degraded=True, accept_degraded=True)
    [answer, other] = engine.answer([make_request(0, clips[0]), make_request(1)])
    assert (answer.status, answer.degraded) == (ANSWERED, True)
    assert not other.degraded
    record = next(record for record in engine.journal.records() if record.sample_id == "q-0")
    assert record.degraded
    assert len(record.videos[0].timestamps_s) == 8
    assert record.videos[0].lost_frames == 0
    assert attempts[:3] == [1, 1, 1]  # plain, alone, with eight frames


def test_a_degraded_answer_counts_only_for_those_who_accept_it(make_engine, make_request, clips, starve):
    starve(lambda prompts, prefix: len(prompts[0].visual.starts_T) > 8)
    make_engine(allow_degraded=True, accept_degraded=True).answer([make_request(0, clips[0])])
    accepting = make_engine(allow_degraded=True, accept_degraded=True)
    assert accepting.answer([make_request(0, clips[0])])[0].degraded
    assert not accepting.sent_keys
    assert make_engine().answer([make_request(0, clips[0])])[0].status is FAILED


def test_out_of_memory_with_the_fewest_frames_is_an_error(make_engine, make_request, clips, starve):
    starve(lambda prompts, prefix: True)
    [answer] = make_engine(allow_degraded=True).answer([make_request(0, clips[0])])
    assert answer.status is FAILED


def starve_the_encoder(monkeypatch, too_much):
    summarise_frames = Quicksviewer.summarise_frames

    def starved(self, frames_THWC):
        if too_much(len(frames_THWC), self.model.model.perception.chunk_frames):
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return summarise_frames(self, frames_THWC)

    monkeypatch.setattr(Quicksviewer, "summarise_frames", starved)


def test_encoding_is_tried_again_frame_by_frame(make_engine, make_request, clips, monkeypatch, tiny_model):
    expected = make_engine(folder="fed").answer([make_request(0, clips[0])])
    usual = tiny_model.model.model.perception.chunk_frames
    starve_the_encoder(monkeypatch, lambda frames, chunk: chunk > 1)
    answers = make_engine().answer([make_request(0, clips[0])])
    assert [answer.text for answer in answers] == [answer.text for answer in expected]
    assert tiny_model.model.model.perception.chunk_frames == usual > 1


@pytest.mark.parametrize("allowed", [False, True])
def test_encoding_fewer_frames(make_engine, make_request, clips, monkeypatch, allowed):
    starve_the_encoder(monkeypatch, lambda frames, chunk: frames > 8)
    engine = make_engine(allow_degraded=allowed, accept_degraded=allowed)
    [answer] = engine.answer([make_request(0, clips[0])])
    if not allowed:
        assert (answer.status, answer.degraded) == (FAILED, False)
        return
    assert (answer.status, answer.degraded) == (ANSWERED, True)
    [record] = engine.journal.records()
    assert len(record.videos[0].timestamps_s) == 8


def test_a_request_that_fails_in_a_batch_fails_alone(make_engine, make_request, clips, monkeypatch):
    generate = inference.generate

    def picky(model, prompts, config, prefix=inference.NO_PREFIX):
        if any(len(prompt) > 300 for prompt in prompts):
            raise RuntimeError("device-side assert")
        return generate(model, prompts, config, prefix)

    monkeypatch.setattr(inference, "generate", picky)
    requests = [make_request(0), make_request(1, text="long " * 80), make_request(2)]
    answers = make_engine(batch_size=3).answer(requests)
    assert [answer.status for answer in answers] == [ANSWERED, FAILED, ANSWERED]
    assert answers[1].reason == "RuntimeError: device-side assert"
