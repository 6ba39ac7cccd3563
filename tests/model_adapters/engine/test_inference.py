"""What happens when memory runs out or a batch fails: injected where the model would raise it."""

import pytest
import torch

from qsv_eval.model_adapters.engine import inference
from qsv_eval.model_adapters.engine.journal import AnswerStatus
from qsv_eval.model_adapters.quicksviewer import Quicksviewer


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


def on_one_video(question, clips, count=3):
    return [question(number, clips[0], words=f"Number {number}?") for number in range(count)]


def test_a_batch_for_which_there_is_no_room_is_answered_one_by_one(make_engine, question, clips, starve):
    questions = on_one_video(question, clips)
    expected = make_engine(folder="fed").answer(questions)
    attempts = starve(lambda prompts, prefix: len(prompts) > 1)
    answers = make_engine(batch_size=3).answer(questions)
    assert [answer.text for answer in answers] == [answer.text for answer in expected]
    assert not any(answer.degraded for answer in answers)
    assert attempts == [3, 1, 1, 1]


def test_a_question_for_which_there_is_no_room_is_tried_once_more_without_the_prefix(
    make_engine, question, clips, starve
):
    attempts = starve(lambda prompts, prefix: prefix.length > 0)
    answers = make_engine().answer(on_one_video(question, clips))
    assert [answer.fate for answer in answers] == [AnswerStatus.ANSWERED] * 3
    assert attempts == [1, 1] * 3


def test_without_leave_to_degrade_it_is_an_error(make_engine, question, clips, starve):
    attempts = starve(lambda prompts, prefix: True)
    [answer] = make_engine().answer([question(0, clips[0])])
    assert answer.fate is AnswerStatus.FAILED
    assert "out of memory" in answer.reason
    assert attempts == [1, 1]


def test_with_leave_the_ladder_is_stepped_down(make_engine, question, clips, starve):
    attempts = starve(lambda prompts, prefix: len(prompts[0].visual.starts_T) > 8)
    engine = make_engine(allow_degraded=True, accept_degraded=True)
    [answer, other] = engine.answer([question(0, clips[0]), question(1)])
    assert (answer.fate, answer.degraded) == (AnswerStatus.ANSWERED, True)
    assert not other.degraded
    record = next(record for record in engine.journal.records() if record.sample_id == "q-0")
    assert record.degraded
    assert len(record.videos[0].timestamps_s) == 8
    assert record.videos[0].lost_frames == 0
    assert attempts[:3] == [1, 1, 1]  # plain, alone, with eight frames


def test_a_degraded_answer_counts_only_for_those_who_accept_it(make_engine, question, clips, starve):
    starve(lambda prompts, prefix: len(prompts[0].visual.starts_T) > 8)
    make_engine(allow_degraded=True, accept_degraded=True).answer([question(0, clips[0])])
    accepting = make_engine(allow_degraded=True, accept_degraded=True)
    assert accepting.answer([question(0, clips[0])])[0].degraded
    assert not accepting.asked
    assert make_engine().answer([question(0, clips[0])])[0].fate is AnswerStatus.FAILED


def test_the_bottom_of_the_ladder(make_engine, question, clips, starve):
    starve(lambda prompts, prefix: True)
    [answer] = make_engine(allow_degraded=True).answer([question(0, clips[0])])
    assert answer.fate is AnswerStatus.FAILED


def starve_the_eyes(monkeypatch, too_much):
    summarise_frames = Quicksviewer.summarise_frames

    def starved(self, frames_THWC):
        if too_much(len(frames_THWC), self.model.model.perception.chunk_frames):
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return summarise_frames(self, frames_THWC)

    monkeypatch.setattr(Quicksviewer, "summarise_frames", starved)


def test_looking_is_tried_again_frame_by_frame(make_engine, question, clips, monkeypatch, tiny_model):
    expected = make_engine(folder="fed").answer([question(0, clips[0])])
    usual = tiny_model.model.model.perception.chunk_frames
    starve_the_eyes(monkeypatch, lambda frames, chunk: chunk > 1)
    answers = make_engine().answer([question(0, clips[0])])
    assert [answer.text for answer in answers] == [answer.text for answer in expected]
    assert tiny_model.model.model.perception.chunk_frames == usual > 1


@pytest.mark.parametrize("allowed", [False, True])
def test_looking_at_fewer_frames(make_engine, question, clips, monkeypatch, allowed):
    starve_the_eyes(monkeypatch, lambda frames, chunk: frames > 8)
    engine = make_engine(allow_degraded=allowed, accept_degraded=allowed)
    [answer] = engine.answer([question(0, clips[0])])
    if not allowed:
        assert (answer.fate, answer.degraded) == (AnswerStatus.FAILED, False)
        return
    assert (answer.fate, answer.degraded) == (AnswerStatus.ANSWERED, True)
    [record] = engine.journal.records()
    assert len(record.videos[0].timestamps_s) == 8


def test_a_question_that_fails_in_a_batch_fails_alone(make_engine, question, clips, monkeypatch):
    generate = inference.generate

    def picky(model, prompts, config, prefix=inference.NO_PREFIX):
        if any(len(prompt) > 300 for prompt in prompts):
            raise RuntimeError("device-side assert")
        return generate(model, prompts, config, prefix)

    monkeypatch.setattr(inference, "generate", picky)
    questions = [question(0), question(1, words="long " * 80), question(2)]
    answers = make_engine(batch_size=3).answer(questions)
    assert [answer.fate for answer in answers] == [AnswerStatus.ANSWERED, AnswerStatus.FAILED, AnswerStatus.ANSWERED]
    assert answers[1].reason == "RuntimeError: device-side assert"
