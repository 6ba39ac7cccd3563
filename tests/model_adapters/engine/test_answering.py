"""The answerer with a real model on real clips."""

from dataclasses import replace

import pytest

from qsv_eval.model_adapters.engine.answer_key import AnswerSettings, model_code_version
from qsv_eval.model_adapters.engine.answering import Answerer
from qsv_eval.model_adapters.engine.failure import reason_for
from qsv_eval.model_adapters.engine.fingerprint import checkpoint_fingerprint
from qsv_eval.model_adapters.engine.journal import Fate, Journal
from qsv_eval.model_adapters.engine.question import Generation, Question
from qsv_eval.model_adapters.frames import FrameRule


@pytest.fixture(scope="module")
def model(tiny):
    from qsv_eval.model_adapters.quicksviewer import load_pretrained

    return load_pretrained(tiny, device="cpu", dtype="float32")


@pytest.fixture
def answerer(model, tiny, tmp_path):
    settings = AnswerSettings(
        checkpoint_fingerprint(str(tiny)), model_code_version(), "float32", FrameRule(), "pyav", "exact"
    )
    return Answerer(model, Journal(tmp_path / "journal"), settings, show_progress=False)


def question(number, path=None, task="task", words="What happens?"):
    media = [] if path is None else [{"type": "video", "video": str(path)}]
    messages = [{"role": "user", "content": [*media, {"type": "text", "text": words}]}]
    return Question(task, number, "test", 0, f"q-{number}", messages, Generation(max_new_tokens=6))


def fresh(answerer):
    """The same as after a restart."""
    return replace(answerer, journal=Journal(answerer.journal.folder), asked=set())


def test_answers_are_kept_and_asked_once(answerer, clips):
    questions = [question(number, clip) for number, clip in enumerate(clips)]
    first = answerer.answer(questions)
    assert [record.fate for record in first] == [Fate.ANSWERED] * 3
    assert len(answerer.asked) == 3
    restarted = fresh(answerer)
    assert restarted.answer(questions) == first
    assert not restarted.asked
    assert restarted.answer([*questions, question(9)])[:3] == first
    assert len(restarted.asked) == 1


def test_a_record_says_what_the_answer_rests_on(answerer, clips):
    [record] = answerer.answer([question(0, clips[0])])
    [video] = record.videos
    assert video.cubes[0][0] == 0
    assert video.cubes[-1][1] == len(video.timestamps_s) >= 12
    assert all(one[1] == other[0] for one, other in zip(video.cubes, video.cubes[1:], strict=False))
    assert record.prompt_tokens > 16 * (len(video.cubes) + 1)
    assert 1 <= record.new_tokens <= 6


def test_duplicates_are_answered_once(answerer):
    records = answerer.answer([question(1), question(2), question(1)])
    assert records[0] == records[2]
    assert len(answerer.asked) == 2


@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_failures_cost_one_sample_each(answerer, clips, tmp_path, batch_size):
    broken, gone = tmp_path / "broken.mp4", tmp_path / "gone.mp4"
    broken.write_bytes(b"no film at all" * 100)
    questions = [question(0, clips[0]), question(1, broken), question(2), question(3, gone)]
    answerer.batch_size = batch_size
    records = answerer.answer(questions)
    assert [record.fate for record in records] == [Fate.ANSWERED, Fate.FAILED, Fate.ANSWERED, Fate.FAILED]
    assert [record.sample_id for record in records] == ["q-0", "q-1", "q-2", "q-3"]
    assert "undecodable" in reason_for("task", "q-1")
    assert "missing" in reason_for("task", "q-3")
    assert reason_for("task", "q-0") == ""


@pytest.mark.parametrize("media", [None, {"no": "path"}, 7])
def test_media_that_cannot_even_be_named_cost_one_sample(answerer, media):
    odd = [{"role": "user", "content": [{"type": "image", "image": media}, {"type": "text", "text": "What?"}]}]
    records = answerer.answer([question(0), replace(question(1), messages=odd), question(2)])
    assert [record.fate for record in records] == [Fate.ANSWERED, Fate.FAILED, Fate.ANSWERED]


def test_a_file_that_may_not_be_opened_costs_one_sample(answerer, clips, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("qsv_eval.model_adapters.engine.answer_key._file_identity", refuse)
    records = answerer.answer([question(0, clips[0]), question(1)])
    assert [record.fate for record in records] == [Fate.FAILED, Fate.ANSWERED]
    assert "Permission denied" in reason_for("task", "q-0")


def test_a_failed_question_is_asked_again(answerer, clips, tmp_path):
    late = tmp_path / "late.mp4"
    asked = question(0, late)
    assert answerer.answer([asked])[0].fate is Fate.FAILED
    late.write_bytes(clips[0].read_bytes())
    assert fresh(answerer).answer([asked])[0].fate is Fate.ANSWERED


def test_batches_answer_as_single_questions_do(answerer, clips, tmp_path):
    questions = [question(0, clips[0]), question(1), question(2, clips[1], words="A longer question, is it not?")]
    alone = answerer.answer(questions)
    together = replace(answerer, journal=Journal(tmp_path / "other"), batch_size=3).answer(questions)
    assert [record.text for record in together] == [record.text for record in alone]


def test_a_batch_that_fails_is_tried_one_by_one(answerer, model, monkeypatch):
    chat_batch = model.chat_batch

    def out_of_memory(conversations, **options):
        if len(conversations) > 1 or "bad" in conversations[0][0]["content"][-1]["text"]:
            raise RuntimeError("out of memory")
        return chat_batch(conversations, **options)

    monkeypatch.setattr(model, "chat_batch", out_of_memory)
    answerer.batch_size = 3
    records = answerer.answer([question(0), question(1, words="bad"), question(2)])
    assert [record.fate for record in records] == [Fate.ANSWERED, Fate.FAILED, Fate.ANSWERED]
    assert records[1].reason == "RuntimeError: out of memory"


def test_a_question_that_its_task_could_not_build(answerer):
    [record] = answerer.answer([replace(question(0), fault="video path a.mp4 does not exist")])
    assert (record.fate, record.reason) == (Fate.FAILED, "video path a.mp4 does not exist")


def test_generation_settings_do_not_mix_in_a_batch(answerer):
    answerer.batch_size = 4
    short = replace(question(0), generation=Generation(max_new_tokens=1))
    records = answerer.answer([question(1), short, question(2)])
    assert records[1].new_tokens == 1
    assert records[0].new_tokens > 1
