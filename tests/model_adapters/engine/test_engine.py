"""The engine with a real model on real clips: what is asked, what is known, what shares what."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from qsv_eval.model_adapters.cubing import CubeRule
from qsv_eval.model_adapters.engine import inference
from qsv_eval.model_adapters.engine.cache_key import REPLY_VERSION
from qsv_eval.model_adapters.engine.failure import reason_for
from qsv_eval.model_adapters.engine.journal import AnswerStatus, ExitReason, read_logs
from qsv_eval.model_adapters.engine.request import GenerationSettings, RequestKind
from qsv_eval.model_adapters.frames import FrameRule
from qsv_eval.model_adapters.frames.read_job import ReadSettings
from qsv_eval.model_adapters.quicksviewer import Quicksviewer
from qsv_eval.status.progress import read_status


def records(engine):
    return {record.sample_id: record for record in engine.journal.records()}


def texts(answers):
    return [answer.text for answer in answers]


def test_answers_are_kept_and_asked_once(make_engine, question, clips):
    questions = [question(number, clip) for number, clip in enumerate(clips)]
    engine = make_engine()
    first = engine.answer(questions)
    assert [answer.fate for answer in first] == [AnswerStatus.ANSWERED] * 3
    assert len(engine.asked) == 3
    restarted = make_engine()
    assert restarted.answer(questions) == first
    assert not restarted.asked
    assert restarted.answer([*questions, question(9)])[:3] == first
    assert len(restarted.asked) == 1


def test_answers_come_in_the_order_of_the_questions(make_engine, question, clips):
    questions = [question(number, clips[number % 3], words=f"Number {number}?") for number in range(7)]
    engine = make_engine()
    answers = engine.answer(questions)
    by_id = records(engine)
    assert texts(answers) == [by_id[f"q-{number}"].text for number in range(7)]
    backwards = make_engine(folder="other").answer(questions[::-1])
    assert backwards == answers[::-1]


def test_a_video_is_read_once_for_all_its_questions(make_engine, question, clips):
    engine = make_engine()
    engine.answer([question(number, clips[number % 2]) for number in range(6)])
    assert engine.efficiency.reads == len(engine.efficiency.files) == 2


def test_questions_on_one_video_answer_as_they_do_alone(make_engine, question, clips, tiny_model):
    asked = [question(number, clips[0], words=f"What is number {number}?") for number in range(3)]
    together = make_engine(batch_size=3).answer(asked)
    for one, answer in zip(asked, together, strict=True):
        alone = tiny_model.chat(one.messages, max_new_tokens=6)
        assert (answer.text, answer.prompt_tokens) == (alone.text, alone.prompt_tokens)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 8])
def test_batch_sizes_answer_alike(make_engine, question, clips, batch_size):
    questions = [question(number, clips[number % 3], words="Hm? " * (number + 1)) for number in range(9)]
    questions += [question(number, words=f"Without a video {number}") for number in range(9, 14)]
    single = make_engine(folder="single").answer(questions)
    assert texts(make_engine(batch_size=batch_size).answer(questions)) == texts(single)


def test_readers_change_nothing(make_engine, question, clips):
    questions = [question(number, clips[number % 3]) for number in range(6)]
    without = make_engine(folder="without", readers=0).answer(questions)
    assert make_engine(readers=2).answer(questions) == without


def test_a_batch_that_was_cut_in_two_is_answered_as_it_was(make_engine, question, clips):
    """Killed in the middle of writing a batch: the rest is answered in the same batch, so the same bytes come out."""
    questions = [question(number, clips[0], words=f"Number {number}?") for number in range(4)]
    whole = make_engine(folder="whole", batch_size=4).answer(questions)
    engine = make_engine(batch_size=4)
    engine.answer(questions)
    [log] = read_logs(engine.journal.folder)
    engine.journal.end(ExitReason.STOPPED)
    lines = log.path.read_text().splitlines(keepends=True)
    log.path.write_text("".join(lines[:3]))  # the share and two answers
    again = make_engine(batch_size=4)
    assert again.answer(questions) == whole
    written = [record.key for log in read_logs(again.journal.folder) for record in log.records]
    assert len(written) == len(set(written)) == 4


def test_rules_and_segments_share_one_read(make_engine, question, clips):
    rules = (FrameRule(max_frames=4), FrameRule(max_frames=8), FrameRule(fps=2.0, max_frames=16))
    questions = [question(number, clips[0], rule=rule) for number, rule in enumerate(rules)]
    questions.append(question(3, clips[0], start_s=2.0, end_s=6.0))
    engine = make_engine()
    shared = engine.answer(questions)
    assert engine.efficiency.reads == 1
    frames = {name: len(record.videos[0].timestamps_s) for name, record in records(engine).items()}
    assert (frames["q-0"], frames["q-1"]) == (4, 8)
    assert 2 <= records(engine)["q-3"].videos[0].timestamps_s[0] < 3
    alone = [make_engine(folder=f"alone-{number}").answer([one])[0] for number, one in enumerate(questions)]
    assert texts(shared) == texts(alone)


def test_ways_to_cut_share_one_look(make_engine, question, clips, monkeypatch):
    rules = [CubeRule(), CubeRule("equal"), CubeRule(frames_per_cube=2.5), CubeRule(max_cubes=2)]
    questions = [question(number, clips[0], cube_rule=rule) for number, rule in enumerate(rules)]
    looks = []
    seeing = Quicksviewer.summarise_frames
    monkeypatch.setattr(Quicksviewer, "summarise_frames", lambda *args: looks.append(1) or seeing(*args))
    engine = make_engine()
    shared = engine.answer(questions)
    assert looks == [1]
    frames = len(records(engine)["q-0"].videos[0].timestamps_s)
    cubes = {name: len(record.videos[0].cubes) for name, record in records(engine).items()}
    assert cubes == {f"q-{number}": rule.cubes(frames) for number, rule in enumerate(rules)}
    lengths = {end - start for start, end, *_ in records(engine)["q-1"].videos[0].cubes}
    assert max(lengths) - min(lengths) <= 1
    alone = [make_engine(folder=f"alone-{number}").answer([one])[0] for number, one in enumerate(questions)]
    assert texts(shared) == texts(alone)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_cells_that_come_to_the_same_frames_are_answered_once(make_engine, question, clips, monkeypatch, batch_size):
    """A clip of 12 seconds has 12 frames, whether 64 or 420 are allowed."""
    asked = []
    generate = inference.generate
    monkeypatch.setattr(inference, "generate", lambda *args: asked.append(len(args[1])) or generate(*args))
    questions = [
        question(number, clips[0], words=f"Number {number}?", task=f"task@{limit}", rule=FrameRule(max_frames=limit))
        for limit in (8, 64, 420)
        for number in range(2)
    ]
    engine = make_engine(batch_size=batch_size)
    shared = engine.answer(questions)
    assert sum(asked) == 4
    assert texts(shared)[2:4] == texts(shared)[4:]
    for number, one in enumerate(questions[4:]):
        alone = make_engine(folder=f"alone-{number}", batch_size=batch_size).answer(questions[4:])[number]
        assert (one.rule.max_frames, shared[4 + number].text) == (420, alone.text)
        assert shared[4 + number].use.frames == alone.use.frames


def test_a_cell_under_another_name_has_its_answers_and_says_whose_they_are(make_engine, question, clips):
    names = "task@max_frames=8", "task@max_frames=8,fps=1.0"
    first, second = (
        [question(number, clips[0], words=f"{number}?", task=name, rule=FrameRule(max_frames=8)) for number in range(2)]
        for name in names
    )
    engine = make_engine()
    before = engine.answer(first)
    engine.journal.end(ExitReason.DONE)
    again = make_engine()
    assert again.answer(second) == before
    assert not again.asked
    again.journal.end(ExitReason.DONE)
    *_, log = read_logs(again.journal.folder)
    [share] = log.shares
    assert [(task, sample) for task, sample, _ in share.renamed] == [(names[1], "q-0"), (names[1], "q-1")]
    assert {key for *_, key in share.renamed} == {record.key for record in again.journal.records()}
    assert share.totals[names[1]].model_dump() == {"total": 2, "known": 2}
    status = read_status(again.journal.folder, datetime.now(UTC))
    assert [(task.task, task.done, task.missing) for task in status.tasks] == [(names[1], 2, 0)]


def test_samples_of_equal_sights_are_drawn_apart(make_engine, question, clips, monkeypatch):
    asked = []
    generate = inference.generate
    monkeypatch.setattr(inference, "generate", lambda *args: asked.append(len(args[1])) or generate(*args))
    sampling = GenerationSettings(max_new_tokens=6, do_sample=True)
    rules = [FrameRule(max_frames=limit) for limit in (64, 420)]
    make_engine().answer([question(n, clips[0], rule=rule, generation=sampling) for n, rule in enumerate(rules)])
    assert asked == [1, 1]


def test_a_record_says_what_the_answer_rests_on(make_engine, question, clips):
    engine = make_engine()
    engine.answer([question(0, clips[0])])
    record = records(engine)["q-0"]
    [video] = record.videos
    assert video.cubes[0][0] == 0
    assert video.cubes[-1][1] == len(video.timestamps_s) >= 12
    assert all(one[1] == other[0] for one, other in zip(video.cubes, video.cubes[1:], strict=False))
    assert record.visual_tokens == 16 * (len(video.cubes) + 1) < record.prompt_tokens
    assert 1 <= record.new_tokens <= 6
    assert {"vit", "cubing", "prefill", "generation"} <= record.seconds.keys()
    assert record.read_s > 0
    assert record.peak_bytes > 0


def test_the_stages_of_all_records_make_up_the_run(make_engine, question, clips):
    engine = make_engine(batch_size=2)
    engine.answer([question(number, clips[number % 3]) for number in range(6)])
    billed = sum(sum(record.seconds.values()) for record in engine.journal.records())
    run = sum(engine.efficiency.stages.values())
    assert 0.5 * run < billed <= run  # what lies between units belongs to no question
    assert 0.95 <= run / engine.efficiency.wall_s <= 1.0


def test_duplicates_are_answered_once(make_engine, question):
    engine = make_engine()
    answers = engine.answer([question(1), question(2), question(1)])
    assert answers[0] == answers[2]
    assert len(engine.asked) == 2


def test_two_questions_with_one_id_are_two(make_engine, question, clips):
    engine = make_engine()
    long = "What happens in the end of it?"
    asked = [question(0, clips[0], sample_id="same"), question(1, clips[1], sample_id="same", words=long)]
    answers = engine.answer(asked)
    assert len(engine.asked) == 2
    assert [record.doc_id for record in engine.journal.records()].count(0) == 1
    assert answers[0].prompt_tokens != answers[1].prompt_tokens


@pytest.mark.parametrize("readers", [0, 1])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_failures_cost_one_sample_each(make_engine, question, clips, tmp_path, batch_size, readers):
    broken, gone = tmp_path / "broken.mp4", tmp_path / "gone.mp4"
    broken.write_bytes(b"no film at all" * 100)
    task = f"failing-{batch_size}-{readers}"
    paths = (clips[0], broken, None, gone)
    questions = [question(number, path, task=task) for number, path in enumerate(paths)]
    engine = make_engine(batch_size=batch_size, readers=readers)
    answers = engine.answer(questions)
    assert [answer.fate for answer in answers] == [
        AnswerStatus.ANSWERED,
        AnswerStatus.FAILED,
        AnswerStatus.ANSWERED,
        AnswerStatus.FAILED,
    ]
    assert "undecodable" in reason_for(task, "q-1")
    assert "missing" in reason_for(task, "q-3")
    assert reason_for(task, "q-0") == ""


def test_a_segment_outside_the_clip_costs_only_its_question(make_engine, question, clips):
    answers = make_engine().answer([question(0, clips[0]), question(1, clips[0], start_s=1e4)])
    assert [answer.fate for answer in answers] == [AnswerStatus.ANSWERED, AnswerStatus.FAILED]
    assert "outside" in answers[1].reason


def test_a_file_that_may_not_be_opened_costs_one_sample(make_engine, question, clips, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("qsv_eval.model_adapters.engine.probe_files.content_id", refuse)
    answers = make_engine().answer([question(0, clips[0]), question(1)])
    assert [answer.fate for answer in answers] == [AnswerStatus.FAILED, AnswerStatus.ANSWERED]
    assert "Permission denied" in answers[0].reason


def test_a_failed_question_is_asked_again(make_engine, question, clips, tmp_path):
    late = tmp_path / "late.mp4"
    assert make_engine().answer([question(0, late)])[0].fate is AnswerStatus.FAILED
    late.write_bytes(clips[0].read_bytes())
    assert make_engine().answer([question(0, late)])[0].fate is AnswerStatus.ANSWERED


def test_a_question_that_its_task_could_not_build(make_engine, question):
    [answer] = make_engine().answer([question(0, fault="video path a.mp4 does not exist")])
    assert (answer.fate, answer.reason) == (AnswerStatus.FAILED, "video path a.mp4 does not exist")


def test_generation_settings_do_not_mix_in_a_batch(make_engine, question):
    short = question(0, generation=GenerationSettings(max_new_tokens=1))
    answers = make_engine(batch_size=4).answer([question(1), short, question(2)])
    assert answers[1].new_tokens == 1
    assert answers[0].new_tokens > 1


def test_sampling_depends_on_the_question_alone(make_engine, question, clips):
    sampled = GenerationSettings(max_new_tokens=6, do_sample=True)
    questions = [question(number, clips[number], generation=sampled) for number in range(3)]
    first = make_engine(folder="first").answer(questions)
    assert make_engine(folder="second").answer(questions[::-1])[::-1] == first
    assert make_engine(folder="third").answer(questions[2:]) == first[2:]


def test_continuations_are_scored_through_the_same_path(make_engine, question, clips):
    choices = [question(0, clips[0], kind=RequestKind.SCORE, continuation=f" {letter}") for letter in "ABCD"]
    engine = make_engine(batch_size=4)
    answers = engine.answer(choices)
    assert engine.efficiency.reads == 1
    assert len({answer.loss for answer in answers}) == 4
    alone = [make_engine(folder=f"alone-{number}").answer([one])[0] for number, one in enumerate(choices)]
    assert [answer.loss for answer in answers] == pytest.approx([answer.loss for answer in alone], rel=1e-4)
    assert make_engine().answer(choices) == answers


def test_a_continuation_without_tokens_is_one_failure(make_engine, question):
    scored = [question(number, kind=RequestKind.SCORE, continuation=text) for number, text in enumerate(("A", "  "))]
    answers = make_engine(batch_size=2).answer(scored)
    assert [answer.fate for answer in answers] == [AnswerStatus.ANSWERED, AnswerStatus.FAILED]
    assert "no tokens to score" in answers[1].reason


def test_a_conversation_is_led_by_its_task(make_engine, question, clips):
    class Tasks:
        def next_round(self, question, replies, state):
            if len(replies) == 3:
                return None
            assert state == (None if len(replies) == 1 else "noted")
            messages = [{"role": "user", "content": [{"type": "video", "video": str(clips[1])}]}]
            return messages, "noted"

    rounds = question(0, clips[0], kind=RequestKind.ROUNDS)
    engine = make_engine(harness=Tasks())
    [answer] = engine.answer([rounds], tasks=["task"])
    assert len(answer.rounds) == 3
    assert answer.text == answer.rounds[-1]
    assert make_engine(harness=Tasks()).answer([rounds], tasks=["task"]) == [answer]


def test_shares_and_ends_are_written_down(make_engine, question, clips):
    engine = make_engine()
    engine.answer([question(0, clips[0]), question(1, fault="no")])
    engine.journal.end(ExitReason.DONE)
    [log] = read_logs(engine.journal.folder)
    [share] = log.shares
    assert (share.rank, share.world_size) == (0, 1)
    assert share.totals["task"].model_dump() == {"total": 2, "known": 0}
    assert [(task, sample) for task, sample, _ in share.questions] == [("task", "q-0")]
    assert log.end.how is ExitReason.DONE


@pytest.mark.parametrize(
    ("raised", "how"), [(KeyboardInterrupt, ExitReason.STOPPED), (RuntimeError("a bug"), ExitReason.FAILED)]
)
def test_how_a_run_ended_is_written_down(make_engine, question, clips, monkeypatch, raised, how):
    def end_it(*_):
        raise raised

    monkeypatch.setattr("qsv_eval.model_adapters.engine.worker.record_of", end_it)
    engine = make_engine()
    with pytest.raises((KeyboardInterrupt, RuntimeError)):
        engine.answer([question(0, clips[0])])
    [log] = read_logs(engine.journal.folder)
    assert log.end.how is how


def test_frames_of_other_sizes_are_brought_to_the_models(make_engine, question, clips):
    answers = make_engine(folder="large", reading=ReadSettings((128, 128))).answer([question(0, clips[0])])
    assert answers[0].fate is AnswerStatus.ANSWERED


def test_a_video_that_a_reader_hangs_on_costs_its_questions(make_engine, question, clips, monkeypatch, tmp_path):
    """The worker is replaced by one that sleeps when it meets a certain file."""
    slow = tmp_path / "slow.mp4"
    slow.write_bytes(clips[0].read_bytes())
    code = (
        "import time, qsv_eval.model_adapters.frames.subprocess_worker as worker\n"
        "plain = worker.read\n"
        "worker.read = lambda job, *more: time.sleep(60) if 'slow' in job.path else plain(job, *more)\n"
        "worker.main()\n"
    )
    (tmp_path / "sleepy_worker.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("qsv_eval.model_adapters.frames.subprocess_reader._WORKER", "sleepy_worker")
    # Its content is another's, or its questions would stand on the other file.
    slow.write_bytes(slow.read_bytes() + b"\0" * 8)
    answers = make_engine(readers=1, read_limit_s=3.0).answer([question(0, slow), question(1, clips[1])])
    assert [answer.fate for answer in answers] == [AnswerStatus.FAILED, AnswerStatus.ANSWERED]
    assert "its reader hung (no frames within 3 s)" in answers[0].reason


def test_questions_may_not_be_there_at_all(make_engine):
    assert make_engine().answer([]) == []


def test_an_answer_for_other_settings_is_another_answer(make_engine, question, clips):
    make_engine().answer([question(0, clips[0])])
    engine = make_engine()
    engine.settings = replace(engine.settings, dtype="bfloat16")
    engine.answer([question(0, clips[0])])
    assert len(engine.asked) == 1


def test_answers_of_another_reply_version_are_counted_before_the_start(make_engine, question, clips, capsys):
    questions = [question(number, clips[0]) for number in range(3)]
    make_engine().answer(questions[:2])
    changed = make_engine(show_progress=True)
    changed.settings = replace(changed.settings, model_code="another")
    assert changed.answer(questions)[0].fate is AnswerStatus.ANSWERED
    assert len(changed.asked) == 3
    said = capsys.readouterr().err
    assert f"2 of these questions have answers of reply version {REPLY_VERSION}; this is version another" in said
    same = make_engine(show_progress=True)
    same.answer(questions)
    assert "reply version another" in capsys.readouterr().err  # the third question alone was asked by that version


def test_other_settings_are_no_other_version(make_engine, question, clips, capsys):
    make_engine().answer([question(0, clips[0])])
    fewer = question(0, clips[0], rule=FrameRule(max_frames=4))
    again = make_engine(show_progress=True)
    again.answer([fewer])
    assert len(again.asked) == 1
    assert "reply version" not in capsys.readouterr().err
