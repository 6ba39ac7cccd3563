"""The plan is pure: what it is given decides everything, and who brings what in which order decides nothing."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from qsv_eval.model_adapters.cubing import CubeRule
from qsv_eval.model_adapters.engine.cost_model import UnitCosts
from qsv_eval.model_adapters.engine.scheduler import (
    PlannedMedia,
    PlannedRequest,
    VisualInput,
    assign,
    make_work_items,
    visual_input_of,
)
from qsv_eval.model_adapters.frames import ClipRequest, FrameRule, VideoInfo

RULE, FEW, CUBES = FrameRule(), FrameRule(max_frames=8), CubeRule()
COSTS = UnitCosts(
    queries=64,
    frame_bytes=442_368,
    summary_bytes=617_984,
    cache_bytes=57_344,
    frame_s=0.01,
    token_s=1e-4,
)


def facts_of(seconds, size=(640, 360)):
    return VideoInfo(float(seconds), 30.0, 30 * seconds, *size)


FACTS = {"short": facts_of(10), "middle": facts_of(60), "long": facts_of(400)}


def video(name, start_s=None, end_s=None):
    return PlannedMedia("video", name, f"/videos/{name}.mp4", start_s, end_s)


def image(name):
    return PlannedMedia("image", name, f"/images/{name}.png")


def ask(number, *media, task="task", rule=RULE, cube_rule=CUBES, settings="greedy", **values):
    return PlannedRequest(f"{task}-{number}", task, (task, number), tuple(media), rule, cube_rule, settings, **values)


def plan(questions, facts=FACTS, batch_size=4, cache_bytes=8 << 30):
    return make_work_items(questions, facts, COSTS, batch_size=batch_size, cache_bytes=cache_bytes)


def keys_of(batches):
    return [[asked.key for asked in batch] for batch in batches]


def mixture():
    """Videos with several rules and segments, pairs of videos, images, texts, two tasks, a file without facts."""
    sights = [
        ([video("short")], RULE),
        ([video("middle")], RULE),
        ([video("middle")], FEW),
        ([video("long")], RULE),
        ([video("long", 10.0, 90.0)], RULE),
        ([video("broken")], RULE),
        ([video("short"), video("middle")], RULE),
        ([image("a")], RULE),
        ([image("b"), image("a")], RULE),
        ([], RULE),
    ]
    questions = []
    for number in range(120):
        media, rule = sights[number % len(sights)]
        task = "other" if number % 7 == 0 else "task"
        questions.append(ask(number, *media, task=task, rule=rule, settings="long" if number % 11 == 0 else "greedy"))
    return questions


def test_questions_on_a_video_are_one_unit_whoever_brings_them():
    questions = [
        ask(1, video("long")),
        ask(2, video("short"), task="other"),
        ask(3, video("short")),
        ask(4, video("long")),
    ]
    units = plan(questions)
    assert [keys_of(unit.batches) for unit in units] == [[["task-1", "task-4"]], [["other-2", "task-3"]]]


@pytest.mark.parametrize("seed", range(20))
def test_the_plan_is_the_same_in_whatever_order_questions_arrive(seed):
    questions = mixture()
    shuffled = questions + random.Random(seed).choices(questions, k=30)  # padding brings some of them twice
    random.Random(seed).shuffle(shuffled)
    assert plan(shuffled, cache_bytes=3 << 30) == plan(questions, cache_bytes=3 << 30)


@pytest.mark.parametrize("processes", [1, 2, 3, 8, 100])
def test_any_number_of_processes_answers_the_same_batches(processes):
    units = plan(mixture())
    shares = assign(units, processes)
    assert len(shares) == processes
    dealt = Counter(batch for share in shares for unit in share for batch in unit.batches)
    assert dealt == Counter(batch for unit in units for batch in unit.batches)
    assert all(share == [unit for unit in units if unit in share] for share in shares)  # longest first, each


@pytest.mark.parametrize("seed", range(20))
def test_what_was_answered_before_does_not_move_the_batches(seed):
    questions = mixture()
    answered = {asked.key for asked in random.Random(seed).sample(questions, k=40 + 3 * seed)}
    whole = sorted(batch for unit in plan(questions) for batch in keys_of(unit.batches))
    resumed = plan([replace(asked, known=asked.key in answered) for asked in questions])
    due = sorted(batch for unit in resumed for batch in keys_of(unit.due))
    assert due == [batch for batch in whole if not answered.issuperset(batch)]


def test_a_batch_is_due_whole_and_a_unit_without_due_batches_is_gone():
    questions = [ask(number, video("long"), known=number != 2) for number in range(8)]
    questions += [ask(number, video("short"), known=True) for number in range(8, 11)]
    [unit] = plan(questions)
    assert keys_of(unit.due) == [["task-0", "task-1", "task-2", "task-3"]]
    assert len(unit.batches) == 2
    assert [asked.key for asked in unit.sights[visual_input_of(questions[0])]] == [
        f"task-{number}" for number in range(8)
    ]
    assert plan([replace(asked, known=True) for asked in questions]) == []


def test_what_is_known_is_not_read():
    questions = [
        ask(0, video("long"), known=True),
        ask(1, video("long"), rule=FEW),
        ask(2, video("long", 5.0), known=True),
    ]
    [unit] = plan(questions)
    assert [read.requests for read in unit.reads] == [(ClipRequest(FEW),)]
    assert list(unit.sights) == [VisualInput((video("long"),), FEW, CUBES)]


def test_rules_and_segments_of_a_file_are_one_read():
    wanted = [(RULE, None, None), (FEW, None, None), (RULE, 10.0, 90.0), (RULE, None, None)]
    [unit] = plan([ask(number, video("long", *bounds), rule=rule) for number, (rule, *bounds) in enumerate(wanted)])
    [read] = unit.reads
    assert (read.path, read.identity, read.frames) == ("/videos/long.mp4", "long", 400)
    assert sorted(read.requests, key=str) == sorted({ClipRequest(*one) for one in wanted}, key=str)
    alone = [plan([ask(0, video("long", *bounds), rule=rule)])[0].expected for rule, *bounds in wanted[:3]]
    assert unit.expected.frames == max(one.frames for one in alone)
    assert unit.expected.decode_s == max(one.decode_s for one in alone)
    assert unit.expected.tokens == sum(one.tokens for one in alone)


def test_a_batch_has_one_sight_and_one_kind_of_settings():
    for unit in plan(mixture()):
        for batch in unit.batches:
            assert len({asked.settings for asked in batch}) == 1
            if any(media.kind == "video" for media in batch[0].media):
                assert len({visual_input_of(asked) for asked in batch}) == 1


def test_batches_of_a_sight_follow_each_other():
    [unit] = plan([ask(number, video("long"), rule=[RULE, FEW][number % 2]) for number in range(12)], batch_size=2)
    rules = [batch[0].rule for batch in unit.batches]
    assert rules in ([RULE] * 3 + [FEW] * 3, [FEW] * 3 + [RULE] * 3)


def test_a_question_on_two_videos_reads_both():
    [unit] = plan([ask(0, video("short"), video("long")), ask(1, video("long"), video("short"))])
    assert sorted(read.identity for read in unit.reads) == ["long", "short"]


@pytest.mark.parametrize("media", [[], [image("a")]])
def test_questions_without_videos_are_pooled_within_their_task(media):
    named = [[one._replace(identity=f"{number}") for one in media] for number in range(20)]
    questions = [ask(number, *named[number], task=["one", "two"][number % 2]) for number in range(20)]
    batches = [batch for unit in plan(questions) for batch in unit.batches]
    assert sorted(len(batch) for batch in batches) == [2, 2, 4, 4, 4, 4]
    assert all(len({asked.task for asked in batch}) == 1 for batch in batches)
    assert all(unit.reads == () for unit in plan(questions))


def test_questions_on_an_image_stay_together():
    questions = [ask(number, image("abcde"[number // 3])) for number in range(15)]
    units = plan(questions, batch_size=8)
    assert [sum(map(len, unit.batches)) for unit in units] == [6, 6, 3]
    homes = [{asked.media for batch in unit.batches for asked in batch} for unit in units]
    assert sum(map(len, homes)) == len(set().union(*homes)) == 5


def test_the_cache_bounds_the_batch():
    questions = [ask(number, video("long")) for number in range(6)]
    tokens = COSTS.video(FACTS["long"], RULE, CUBES).tokens
    for fit, sizes in [(6, [6]), (5, [5, 1]), (2, [2, 2, 2]), (0.5, [1] * 6)]:
        [unit] = plan(questions, batch_size=6, cache_bytes=int(fit * tokens * COSTS.cache_bytes))
        assert [len(batch) for batch in unit.batches] == sizes


def test_longest_first():
    questions = [ask(number, video(name)) for number, name in enumerate(["short", "long", "broken", "middle"])]
    units = plan(questions)
    assert [unit.reads[0].identity for unit in units] == ["long", "middle", "short", "broken"]
    assert [unit.cost_s for unit in units] == sorted((unit.cost_s for unit in units), reverse=True)


def video_mme(seed):
    """The durations of the benchmark: a third each of up to 2 minutes, 4 to 15 minutes, half an hour to an hour."""
    draw = random.Random(seed)
    lengths = [draw.randint(*bounds) for bounds in [(11, 120), (240, 900), (1800, 3600)] for _ in range(300)]
    facts = {
        f"{number:03}": facts_of(length, draw.choice([(640, 360), (1280, 720)]))
        for number, length in enumerate(lengths)
    }
    questions = [ask(3 * number + k, video(name)) for number, name in enumerate(facts) for k in range(3)]
    return plan(questions, facts)


@pytest.mark.parametrize("seed", range(3))
def test_shares_are_even_and_divide_no_unit(seed):
    units = video_mme(seed)
    assert len(units) == 900
    shares = assign(units, 8)
    assert Counter(map(id, units)) == Counter(id(unit) for share in shares for unit in share)
    loads = [sum(unit.cost_s for unit in share) for share in shares]
    assert max(loads) <= 1.05 * sum(loads) / 8


def test_only_who_is_able_answers():
    questions = [ask(number, video("short"), able=frozenset({1, 2})) for number in range(3)]
    questions += [ask(number, image(str(number)), task="images", able=frozenset({2})) for number in range(9)]
    questions += [ask(number, video("long"), task="anyone") for number in range(3)]
    shares = assign(plan(questions), 4)
    homes = {
        asked.task: rank
        for rank, share in enumerate(shares)
        for unit in share
        for batch in unit.batches
        for asked in batch
    }
    assert homes["task"] in {1, 2}
    assert homes["images"] == 2
    assert homes["anyone"] in {0, 1, 3}


def test_a_unit_is_for_those_who_are_able_to_answer_all_of_it():
    questions = [ask(0, video("short"), able=frozenset({0, 1})), ask(1, video("short"), able=frozenset({1, 2}))]
    [unit] = plan(questions)
    assert unit.able == {1}


def test_equal_keys_are_one_question():
    [unit] = plan([ask(0, video("short"))] * 3)
    assert keys_of(unit.batches) == [["task-0"]]


@pytest.mark.parametrize("known", [(True, False), (False, True)])
def test_a_question_that_one_of_two_processes_has_no_answer_to_is_asked(known):
    [unit] = plan([ask(0, video("short"), known=one) for one in known])
    assert keys_of(unit.due) == [["task-0"]]


def test_nothing_to_do():
    assert plan([]) == []
    assert assign([], 3) == [[], [], []]
