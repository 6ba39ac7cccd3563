"""The schedule depends on the requests of the run alone, not on their order or on the processes that have them."""

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
    queries=64, frame_bytes=442_368, summary_bytes=617_984, cache_bytes=57_344, frame_s=0.01, token_s=1e-4
)


def video_info(seconds, size=(640, 360)):
    return VideoInfo(float(seconds), 30.0, 30 * seconds, *size)


VIDEOS = {"short": video_info(10), "middle": video_info(60), "long": video_info(400)}


def video(name, start_s=None, end_s=None):
    return PlannedMedia("video", name, f"/videos/{name}.mp4", start_s, end_s)


def image(name):
    return PlannedMedia("image", name, f"/images/{name}.png")


def request_on(i, *media, task="task", rule=RULE, cube_rule=CUBES, settings="greedy", **values):
    return PlannedRequest(f"{task}-{i}", task, (task, i), tuple(media), rule, cube_rule, settings, **values)


def plan(requests, videos=VIDEOS, batch_size=4, cache_bytes=8 << 30):
    return make_work_items(requests, videos, COSTS, batch_size=batch_size, cache_bytes=cache_bytes)


def keys_of(batches):
    return [[request.key for request in batch] for batch in batches]


def mixture():
    """Videos with several rules and segments, pairs of videos, images, texts, two tasks, a file without a header."""
    inputs = [
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
    requests = []
    for i in range(120):
        media, rule = inputs[i % len(inputs)]
        task = "other" if i % 7 == 0 else "task"
        requests.append(request_on(i, *media, task=task, rule=rule, settings="long" if i % 11 == 0 else "greedy"))
    return requests


def test_requests_on_a_video_are_one_work_item():
    requests = [
        request_on(1, video("long")),
        request_on(2, video("short"), task="other"),
        request_on(3, video("short")),
        request_on(4, video("long")),
    ]
    work_items = plan(requests)
    assert [keys_of(item.batches) for item in work_items] == [[["task-1", "task-4"]], [["other-2", "task-3"]]]


@pytest.mark.parametrize("seed", range(20))
def test_the_schedule_does_not_depend_on_the_order_of_requests(seed):
    requests = mixture()
    shuffled = requests + random.Random(seed).choices(requests, k=30)  # padding brings some of them twice
    random.Random(seed).shuffle(shuffled)
    assert plan(shuffled, cache_bytes=3 << 30) == plan(requests, cache_bytes=3 << 30)


@pytest.mark.parametrize("processes", [1, 2, 3, 8, 100])
def test_any_number_of_processes_answers_the_same_batches(processes):
    work_items = plan(mixture())
    assigned = assign(work_items, processes)
    assert len(assigned) == processes
    dealt = Counter(batch for items in assigned for item in items for batch in item.batches)
    assert dealt == Counter(batch for item in work_items for batch in item.batches)
    assert all(items == [item for item in work_items if item in items] for items in assigned)  # longest first, each


@pytest.mark.parametrize("seed", range(20))
def test_what_was_answered_before_does_not_move_the_batches(seed):
    requests = mixture()
    answered = {request.key for request in random.Random(seed).sample(requests, k=40 + 3 * seed)}
    whole = sorted(batch for item in plan(requests) for batch in keys_of(item.batches))
    resumed = plan([replace(request, known=request.key in answered) for request in requests])
    pending = sorted(batch for item in resumed for batch in keys_of(item.pending))
    assert pending == [batch for batch in whole if not answered.issuperset(batch)]


def test_a_batch_is_pending_whole_and_a_work_item_without_pending_batches_is_gone():
    requests = [request_on(i, video("long"), known=i != 2) for i in range(8)]
    requests += [request_on(i, video("short"), known=True) for i in range(8, 11)]
    [item] = plan(requests)
    assert keys_of(item.pending) == [["task-0", "task-1", "task-2", "task-3"]]
    assert len(item.batches) == 2
    assert [request.key for request in item.visual_inputs[visual_input_of(requests[0])]] == [
        f"task-{i}" for i in range(8)
    ]
    assert plan([replace(request, known=True) for request in requests]) == []


def test_what_is_known_is_not_read():
    requests = [
        request_on(0, video("long"), known=True),
        request_on(1, video("long"), rule=FEW),
        request_on(2, video("long", 5.0), known=True),
    ]
    [item] = plan(requests)
    assert [read.clips for read in item.reads] == [(ClipRequest(FEW),)]
    assert list(item.visual_inputs) == [VisualInput((video("long"),), FEW, CUBES)]


def test_rules_and_segments_of_a_file_are_one_read():
    wanted = [(RULE, None, None), (FEW, None, None), (RULE, 10.0, 90.0), (RULE, None, None)]
    [item] = plan([request_on(i, video("long", *bounds), rule=rule) for i, (rule, *bounds) in enumerate(wanted)])
    [read] = item.reads
    assert (read.path, read.content_id, read.frames) == ("/videos/long.mp4", "long", 400)
    assert sorted(read.clips, key=str) == sorted({ClipRequest(*clip) for clip in wanted}, key=str)
    alone = [plan([request_on(0, video("long", *bounds), rule=rule)])[0].estimate for rule, *bounds in wanted[:3]]
    assert item.estimate.frames == max(estimate.frames for estimate in alone)
    assert item.estimate.decode_s == max(estimate.decode_s for estimate in alone)
    assert item.estimate.tokens == sum(estimate.tokens for estimate in alone)


def test_a_batch_has_one_visual_input_and_one_kind_of_settings():
    for item in plan(mixture()):
        for batch in item.batches:
            assert len({request.settings for request in batch}) == 1
            if any(media.kind == "video" for media in batch[0].media):
                assert len({visual_input_of(request) for request in batch}) == 1


def test_batches_of_a_visual_input_follow_each_other():
    [item] = plan([request_on(i, video("long"), rule=[RULE, FEW][i % 2]) for i in range(12)], batch_size=2)
    rules = [batch[0].rule for batch in item.batches]
    assert rules in ([RULE] * 3 + [FEW] * 3, [FEW] * 3 + [RULE] * 3)


def test_a_request_on_two_videos_reads_both():
    [item] = plan([request_on(0, video("short"), video("long")), request_on(1, video("long"), video("short"))])
    assert sorted(read.content_id for read in item.reads) == ["long", "short"]


@pytest.mark.parametrize("media", [[], [image("a")]])
def test_requests_without_videos_are_pooled_within_their_task(media):
    distinct = [[each._replace(content_id=f"{i}") for each in media] for i in range(20)]
    requests = [request_on(i, *distinct[i], task=["one", "two"][i % 2]) for i in range(20)]
    batches = [batch for item in plan(requests) for batch in item.batches]
    assert sorted(len(batch) for batch in batches) == [2, 2, 4, 4, 4, 4]
    assert all(len({request.task for request in batch}) == 1 for batch in batches)
    assert all(item.reads == () for item in plan(requests))


def test_requests_on_an_image_stay_together():
    requests = [request_on(i, image("abcde"[i // 3])) for i in range(15)]
    work_items = plan(requests, batch_size=8)
    assert [sum(map(len, item.batches)) for item in work_items] == [6, 6, 3]
    homes = [{request.media for batch in item.batches for request in batch} for item in work_items]
    assert sum(map(len, homes)) == len(set().union(*homes)) == 5


def test_the_cache_bounds_the_batch():
    requests = [request_on(i, video("long")) for i in range(6)]
    tokens = COSTS.video(VIDEOS["long"], RULE, CUBES).tokens
    for fit, sizes in [(6, [6]), (5, [5, 1]), (2, [2, 2, 2]), (0.5, [1] * 6)]:
        [item] = plan(requests, batch_size=6, cache_bytes=int(fit * tokens * COSTS.cache_bytes))
        assert [len(batch) for batch in item.batches] == sizes


def test_longest_first():
    requests = [request_on(i, video(name)) for i, name in enumerate(["short", "long", "broken", "middle"])]
    work_items = plan(requests)
    assert [item.reads[0].content_id for item in work_items] == ["long", "middle", "short", "broken"]
    assert [item.cost_s for item in work_items] == sorted((item.cost_s for item in work_items), reverse=True)


def video_mme(seed):
    """The durations of the benchmark: a third each of up to 2 minutes, 4 to 15 minutes, half an hour to an hour."""
    draw = random.Random(seed)
    lengths = [draw.randint(*bounds) for bounds in [(11, 120), (240, 900), (1800, 3600)] for _ in range(300)]
    videos = {f"{i:03}": video_info(length, draw.choice([(640, 360), (1280, 720)])) for i, length in enumerate(lengths)}
    requests = [request_on(3 * i + k, video(name)) for i, name in enumerate(videos) for k in range(3)]
    return plan(requests, videos)


@pytest.mark.parametrize("seed", range(3))
def test_processes_get_equal_work_and_whole_work_items(seed):
    work_items = video_mme(seed)
    assert len(work_items) == 900
    assigned = assign(work_items, 8)
    assert Counter(map(id, work_items)) == Counter(id(item) for items in assigned for item in items)
    loads = [sum(item.cost_s for item in items) for items in assigned]
    assert max(loads) <= 1.05 * sum(loads) / 8


def test_only_processes_that_have_the_task_answer():
    requests = [request_on(i, video("short"), ranks=frozenset({1, 2})) for i in range(3)]
    requests += [request_on(i, image(str(i)), task="images", ranks=frozenset({2})) for i in range(9)]
    requests += [request_on(i, video("long"), task="anyone") for i in range(3)]
    assigned = assign(plan(requests), 4)
    homes = {
        request.task: rank
        for rank, items in enumerate(assigned)
        for item in items
        for batch in item.batches
        for request in batch
    }
    assert homes["task"] in {1, 2}
    assert homes["images"] == 2
    assert homes["anyone"] in {0, 1, 3}


def test_a_work_item_is_for_processes_that_can_answer_all_of_it():
    requests = [
        request_on(0, video("short"), ranks=frozenset({0, 1})),
        request_on(1, video("short"), ranks=frozenset({1, 2})),
    ]
    [item] = plan(requests)
    assert item.ranks == {1}


def test_equal_keys_are_one_request():
    [item] = plan([request_on(0, video("short"))] * 3)
    assert keys_of(item.batches) == [["task-0"]]


@pytest.mark.parametrize("known", [(True, False), (False, True)])
def test_a_request_that_one_of_two_processes_has_no_answer_to_is_pending(known):
    [item] = plan([request_on(0, video("short"), known=each) for each in known])
    assert keys_of(item.pending) == [["task-0"]]


def test_nothing_to_do():
    assert plan([]) == []
    assert assign([], 3) == [[], [], []]
