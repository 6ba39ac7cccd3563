"""The engine with a tiny model on real clips: what is sent to the model, read, shared and recorded."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from qsv_eval.model_adapters.cubing import CubeRule
from qsv_eval.model_adapters.engine import inference
from qsv_eval.model_adapters.engine.cache_key import REPLY_VERSION
from qsv_eval.model_adapters.engine.journal import read_logs
from qsv_eval.model_adapters.engine.records import AnswerStatus, ExitReason
from qsv_eval.model_adapters.engine.request import GenerationSettings, RequestKind
from qsv_eval.model_adapters.frames import FrameRule
from qsv_eval.model_adapters.frames.read_job import ReadSettings
from qsv_eval.model_adapters.quicksviewer import Quicksviewer
from qsv_eval.status.progress import read_status

ANSWERED, FAILED = AnswerStatus.ANSWERED, AnswerStatus.FAILED


def records(engine):
    return {record.sample_id: record for record in engine.journal.records()}


def texts(answers):
    return [answer.text for answer in answers]


@pytest.fixture
def answer_alone(make_engine):
    """Answer each request in an engine with a journal of its own."""
    return lambda requests: [make_engine(folder=f"alone-{i}").answer([each])[0] for i, each in enumerate(requests)]


def test_answers_are_kept_and_asked_once(make_engine, make_request, clips):
    requests = [make_request(i, clip) for i, clip in enumerate(clips)]
    engine = make_engine()
    first = engine.answer(requests)
    assert [answer.status for answer in first] == [ANSWERED] * 3
    assert len(engine.sent_keys) == 3
    restarted = make_engine()
    assert restarted.answer(requests) == first
    assert not restarted.sent_keys
    assert restarted.answer([*requests, make_request(9)])[:3] == first
    assert len(restarted.sent_keys) == 1


def test_answers_come_in_the_order_of_the_requests(make_engine, make_request, clips):
    requests = [make_request(i, clips[i % 3], text=f"Number {i}?") for i in range(7)]
    engine = make_engine()
    answers = engine.answer(requests)
    by_id = records(engine)
    assert texts(answers) == [by_id[f"q-{i}"].text for i in range(7)]
    backwards = make_engine(folder="other").answer(requests[::-1])
    assert backwards == answers[::-1]


def test_a_video_is_read_once_for_all_its_requests(make_engine, make_request, clips):
    engine = make_engine()
    engine.answer([make_request(i, clips[i % 2]) for i in range(6)])
    assert engine.efficiency.reads == len(engine.efficiency.files) == 2


def test_requests_on_one_video_answer_as_they_do_alone(make_engine, make_request, clips, tiny_model):
    requests = [make_request(i, clips[0], text=f"What is number {i}?") for i in range(3)]
    together = make_engine(batch_size=3).answer(requests)
    for request, answer in zip(requests, together, strict=True):
        alone = tiny_model.chat(request.messages, max_new_tokens=6)
        assert (answer.text, answer.prompt_tokens) == (alone.text, alone.prompt_tokens)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 8])
def test_batch_sizes_answer_alike(make_engine, make_request, clips, batch_size):
    requests = [make_request(i, clips[i % 3], text="Hm? " * (i + 1)) for i in range(9)]
    requests += [make_request(i, text=f"Without a video {i}") for i in range(9, 14)]
    single = make_engine(folder="single").answer(requests)
    assert texts(make_engine(batch_size=batch_size).answer(requests)) == texts(single)


def test_readers_change_nothing(make_engine, make_request, clips):
    requests = [make_request(i, clips[i % 3]) for i in range(6)]
    without = make_engine(folder="without", readers=0).answer(requests)
    assert make_engine(readers=2).answer(requests) == without


def test_a_batch_that_was_cut_in_two_is_answered_as_it_was(make_engine, make_request, clips):
    """Killed in the middle of writing a batch: the rest is answered in the same batch, so the same bytes come out."""
    requests = [make_request(i, clips[0], text=f"Number {i}?") for i in range(4)]
    whole = make_engine(folder="whole", batch_size=4).answer(requests)
    engine = make_engine(batch_size=4)
    engine.answer(requests)
    [log] = read_logs(engine.journal.folder)
    engine.journal.end(ExitReason.STOPPED)
    lines = log.path.read_text().splitlines(keepends=True)
    log.path.write_text("".join(lines[:3]))  # the assignment and two answers
    again = make_engine(batch_size=4)
    assert again.answer(requests) == whole
    written = [record.key for log in read_logs(again.journal.folder) for record in log.records]
    assert len(written) == len(set(written)) == 4


def test_rules_and_segments_share_one_read(make_engine, answer_alone, make_request, clips):
    rules = (FrameRule(max_frames=4), FrameRule(max_frames=8), FrameRule(fps=2.0, max_frames=16))
    requests = [make_request(i, clips[0], rule=rule) for i, rule in enumerate(rules)]
    requests.append(make_request(3, clips[0], start_s=2.0, end_s=6.0))
    engine = make_engine()
    shared = engine.answer(requests)
    assert engine.efficiency.reads == 1
    frames = {name: len(record.videos[0].timestamps_s) for name, record in records(engine).items()}
    assert (frames["q-0"], frames["q-1"]) == (4, 8)
    assert 2 <= records(engine)["q-3"].videos[0].timestamps_s[0] < 3
    assert texts(shared) == texts(answer_alone(requests))


def test_cube_rules_share_one_encoding(make_engine, answer_alone, make_request, clips, monkeypatch):
    rules = [CubeRule(), CubeRule("equal"), CubeRule(frames_per_cube=2.5), CubeRule(max_cubes=2)]
    requests = [make_request(i, clips[0], cube_rule=rule) for i, rule in enumerate(rules)]
    encoded = []
    summarise_frames = Quicksviewer.summarise_frames
    monkeypatch.setattr(Quicksviewer, "summarise_frames", lambda *args: encoded.append(1) or summarise_frames(*args))
    engine = make_engine()
    shared = engine.answer(requests)
    assert encoded == [1]
    frames = len(records(engine)["q-0"].videos[0].timestamps_s)
    cubes = {name: len(record.videos[0].cubes) for name, record in records(engine).items()}
    assert cubes == {f"q-{i}": rule.cubes(frames) for i, rule in enumerate(rules)}
    lengths = {end - start for start, end, *_ in records(engine)["q-1"].videos[0].cubes}
    assert max(lengths) - min(lengths) <= 1
    assert texts(shared) == texts(answer_alone(requests))


@pytest.mark.parametrize("batch_size", [1, 2])
def test_variants_with_the_same_frames_are_answered_once(make_engine, make_request, clips, monkeypatch, batch_size):
    """A clip of 12 seconds has 12 frames, whether 64 or 420 are allowed."""
    batch_sizes = []
    generate = inference.generate
    monkeypatch.setattr(inference, "generate", lambda *args: batch_sizes.append(len(args[1])) or generate(*args))
    requests = [
        make_request(i, clips[0], text=f"Number {i}?", task=f"task@{limit}", rule=FrameRule(max_frames=limit))
        for limit in (8, 64, 420)
        for i in range(2)
    ]
    engine = make_engine(batch_size=batch_size)
    shared = engine.answer(requests)
    assert sum(batch_sizes) == 4
    assert texts(shared)[2:4] == texts(shared)[4:]
    for i, request in enumerate(requests[4:]):
        alone = make_engine(folder=f"alone-{i}", batch_size=batch_size).answer(requests[4:])[i]
        assert (request.rule.max_frames, shared[4 + i].text) == (420, alone.text)
        assert shared[4 + i].cost.frames == alone.cost.frames


def test_an_equal_variant_of_another_name_has_the_answers_and_their_names(make_engine, make_request, clips):
    names = "task@max_frames=8", "task@max_frames=8,fps=1.0"
    first, second = (
        [make_request(i, clips[0], text=f"{i}?", task=name, rule=FrameRule(max_frames=8)) for i in range(2)]
        for name in names
    )
    engine = make_engine()
    before = engine.answer(first)
    engine.journal.end(ExitReason.DONE)
    again = make_engine()
    assert again.answer(second) == before
    assert not again.sent_keys
    again.journal.end(ExitReason.DONE)
    *_, log = read_logs(again.journal.folder)
    [assignment] = log.shares
    assert [(task, sample) for task, sample, _ in assignment.renamed] == [(names[1], "q-0"), (names[1], "q-1")]
    assert {key for *_, key in assignment.renamed} == {record.key for record in again.journal.records()}
    assert assignment.totals[names[1]].model_dump() == {"total": 2, "known": 2}
    status = read_status(again.journal.folder, datetime.now(UTC))
    assert [(task.task, task.done, task.missing) for task in status.tasks] == [(names[1], 2, 0)]


def test_sampled_replies_of_equal_visual_inputs_differ(make_engine, make_request, clips, monkeypatch):
    batch_sizes = []
    generate = inference.generate
    monkeypatch.setattr(inference, "generate", lambda *args: batch_sizes.append(len(args[1])) or generate(*args))
    sampling = GenerationSettings(max_new_tokens=6, do_sample=True)
    rules = [FrameRule(max_frames=limit) for limit in (64, 420)]
    make_engine().answer([make_request(n, clips[0], rule=rule, generation=sampling) for n, rule in enumerate(rules)])
    assert batch_sizes == [1, 1]


def test_a_record_says_what_the_answer_rests_on(make_engine, make_request, clips):
    engine = make_engine()
    engine.answer([make_request(0, clips[0])])
    record = records(engine)["q-0"]
    [video] = record.videos
    assert video.cubes[0][0] == 0
    assert video.cubes[-1][1] == len(video.timestamps_s) >= 12
    assert all(cube[1] == following[0] for cube, following in zip(video.cubes, video.cubes[1:], strict=False))
    assert record.visual_tokens == 16 * (len(video.cubes) + 1) < record.prompt_tokens
    assert 1 <= record.new_tokens <= 6
    assert {"vit", "cubing", "prefill", "generation"} <= record.seconds.keys()
    assert record.read_s > 0
    assert record.peak_bytes > 0


def test_the_stages_of_all_records_make_up_the_run(make_engine, make_request, clips):
    engine = make_engine(batch_size=2)
    engine.answer([make_request(i, clips[i % 3]) for i in range(6)])
    attributed = sum(sum(record.seconds.values()) for record in engine.journal.records())
    run = sum(engine.efficiency.stages.values())
    assert 0.5 * run < attributed <= run  # what lies between work items belongs to no request
    assert 0.95 <= run / engine.efficiency.wall_s <= 1.0


def test_duplicates_are_answered_once(make_engine, make_request):
    engine = make_engine()
    answers = engine.answer([make_request(1), make_request(2), make_request(1)])
    assert answers[0] == answers[2]
    assert len(engine.sent_keys) == 2


def test_two_requests_with_one_id_are_two(make_engine, make_request, clips):
    engine = make_engine()
    long = "What happens in the end of it?"
    requests = [make_request(0, clips[0], sample_id="same"), make_request(1, clips[1], sample_id="same", text=long)]
    answers = engine.answer(requests)
    assert len(engine.sent_keys) == 2
    assert [record.doc_id for record in engine.journal.records()].count(0) == 1
    assert answers[0].prompt_tokens != answers[1].prompt_tokens


def test_generation_settings_do_not_mix_in_a_batch(make_engine, make_request):
    short = make_request(0, generation=GenerationSettings(max_new_tokens=1))
    answers = make_engine(batch_size=4).answer([make_request(1), short, make_request(2)])
    assert answers[1].new_tokens == 1
    assert answers[0].new_tokens > 1


def test_sampling_depends_on_the_request_alone(make_engine, make_request, clips):
    sampled = GenerationSettings(max_new_tokens=6, do_sample=True)
    requests = [make_request(i, clips[i], generation=sampled) for i in range(3)]
    first = make_engine(folder="first").answer(requests)
    assert make_engine(folder="second").answer(requests[::-1])[::-1] == first
    assert make_engine(folder="third").answer(requests[2:]) == first[2:]


def test_continuations_are_scored_through_the_same_path(make_engine, answer_alone, make_request, clips):
    choices = [make_request(0, clips[0], kind=RequestKind.SCORE, continuation=f" {letter}") for letter in "ABCD"]
    engine = make_engine(batch_size=4)
    answers = engine.answer(choices)
    assert engine.efficiency.reads == 1
    assert len({answer.loss for answer in answers}) == 4
    alone = answer_alone(choices)
    assert [answer.loss for answer in answers] == pytest.approx([answer.loss for answer in alone], rel=1e-4)
    assert make_engine().answer(choices) == answers


def test_a_continuation_without_tokens_is_one_failure(make_engine, make_request):
    scored = [make_request(i, kind=RequestKind.SCORE, continuation=text) for i, text in enumerate(("A", "  "))]
    answers = make_engine(batch_size=2).answer(scored)
    assert [answer.status for answer in answers] == [ANSWERED, FAILED]
    assert "no tokens to score" in answers[1].reason


def test_a_conversation_is_led_by_its_task(make_engine, make_request, clips):
    class Tasks:
        def next_round(self, request, replies, state):
            if len(replies) == 3:
                return None
            assert state == (None if len(replies) == 1 else "noted")
            messages = [{"role": "user", "content": [{"type": "video", "video": str(clips[1])}]}]
            return messages, "noted"

    rounds = make_request(0, clips[0], kind=RequestKind.ROUNDS)
    engine = make_engine(harness=Tasks())
    [answer] = engine.answer([rounds], tasks=["task"])
    assert len(answer.rounds) == 3
    assert answer.text == answer.rounds[-1]
    assert make_engine(harness=Tasks()).answer([rounds], tasks=["task"]) == [answer]


def test_assignments_and_ends_are_written_down(make_engine, make_request, clips):
    engine = make_engine()
    engine.answer([make_request(0, clips[0]), make_request(1, fault="no")])
    engine.journal.end(ExitReason.DONE)
    [log] = read_logs(engine.journal.folder)
    [assignment] = log.shares
    assert (assignment.rank, assignment.world_size) == (0, 1)
    assert assignment.totals["task"].model_dump() == {"total": 2, "known": 0}
    assert [(task, sample) for task, sample, _ in assignment.questions] == [("task", "q-0")]
    assert log.end.how is ExitReason.DONE


def test_frames_of_other_sizes_are_brought_to_the_models(make_engine, make_request, clips):
    answers = make_engine(folder="large", reading=ReadSettings((128, 128))).answer([make_request(0, clips[0])])
    assert answers[0].status is ANSWERED


def test_no_requests(make_engine):
    assert make_engine().answer([]) == []


def test_an_answer_for_other_settings_is_another_answer(make_engine, make_request, clips):
    make_engine().answer([make_request(0, clips[0])])
    engine = make_engine()
    engine.settings = replace(engine.settings, dtype="bfloat16")
    engine.answer([make_request(0, clips[0])])
    assert len(engine.sent_keys) == 1


def test_answers_of_another_reply_version_are_counted_before_the_start(make_engine, make_request, clips, capsys):
    requests = [make_request(i, clips[0]) for i in range(3)]
    make_engine().answer(requests[:2])
    changed = make_engine(show_progress=True)
    changed.settings = replace(changed.settings, model_code="another")
    assert changed.answer(requests)[0].status is ANSWERED
    assert len(changed.sent_keys) == 3
    output = capsys.readouterr().err
    assert (
        f"answers to 2 requests of this run are of reply version {REPLY_VERSION}, and this is version another" in output
    )
    same = make_engine(show_progress=True)
    same.answer(requests)
    # The third request has an answer of the other version only.
    assert "answers to 1 request of this run are of reply version another" in capsys.readouterr().err


def test_other_settings_are_no_other_version(make_engine, make_request, clips, capsys):
    make_engine().answer([make_request(0, clips[0])])
    fewer = make_request(0, clips[0], rule=FrameRule(max_frames=4))
    again = make_engine(show_progress=True)
    again.answer([fewer])
    assert len(again.sent_keys) == 1
    assert "reply version" not in capsys.readouterr().err
