"""The schedule: process, order and batch of each request. Pure: no model, no files, no other processes.

Requests on the same videos form a work item, whose files are read once, by one process. Batches are cut from the
requests of the whole run, answered ones included, so a reply depends neither on the number of processes nor on earlier
interruptions. Work items are assigned longest first, each to the process with the least to do: at most 4/3 of the
optimal time, in practice within a few percent.
"""

import heapq
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import NamedTuple

from qsv_eval.model_adapters.cubing import CubeRule
from qsv_eval.model_adapters.engine.cost_model import CostEstimate, UnitCosts
from qsv_eval.model_adapters.frames import ClipRequest, FrameRule, VideoInfo

__all__ = ["Batch", "FileRead", "PlannedMedia", "PlannedRequest", "VisualInput", "WorkItem", "assign"]
__all__ += ["make_work_items", "visual_input_of"]


class PlannedMedia(NamedTuple):
    """One video or image of a request."""

    kind: str
    """"video" or "image"."""
    content_id: str
    path: str | None
    """None for an image in memory."""
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True)
class PlannedRequest:
    """The values of a request that the schedule depends on. Requests with equal keys are one."""

    key: str
    task: str
    order: tuple[Hashable, ...]
    """Sort key among all requests of the run, whichever process has them."""
    media: tuple[PlannedMedia, ...]
    rule: FrameRule
    cube_rule: CubeRule
    settings: Hashable
    """Settings that the requests of a batch must have in common."""
    known: bool = False
    """Whether an earlier run has answered it."""
    ranks: frozenset[int] | None = None
    """Processes that can answer it; None for all."""


Batch = tuple[PlannedRequest, ...]


class VisualInput(NamedTuple):
    """Media under a frame rule and a cube rule. All requests on a visual input share a prefix."""

    media: tuple[PlannedMedia, ...]
    rule: FrameRule
    cube_rule: CubeRule

    def videos(self) -> list[tuple[PlannedMedia, ClipRequest]]:
        """Return its videos in order, each with the frame rule and segment to read."""
        videos = [media for media in self.media if media.kind == "video"]
        return [(video, ClipRequest(self.rule, video.start_s, video.end_s)) for video in videos]


class FileRead(NamedTuple):
    """A video file that is read once for all visual inputs that contain it."""

    path: str
    content_id: str
    clips: tuple[ClipRequest, ...]
    frames: int
    """Estimated number of frames to read."""
    cubes: int = 0
    """Largest number of cubes among the visual inputs."""


@dataclass(frozen=True)
class WorkItem:
    """Requests on the same videos, answered by one process in one go."""

    batches: tuple[Batch, ...]
    """Batches of all its requests; those of one visual input follow each other."""
    reads: tuple[FileRead, ...] = ()
    """Files of the pending batches."""
    estimate: CostEstimate = field(default_factory=CostEstimate)
    """Cost of reading and encoding these files."""
    cost_s: float = 0.0

    @property
    def pending(self) -> list[Batch]:
        """Batches with a request that has no answer yet; they are answered whole, so that replies stay the same."""
        return [batch for batch in self.batches if any(not request.known for request in batch)]

    @property
    def pending_requests(self) -> list[PlannedRequest]:
        """The requests of the pending batches."""
        return [request for batch in self.pending for request in batch]

    @property
    def visual_inputs(self) -> dict[VisualInput, list[PlannedRequest]]:
        """Visual inputs of the pending batches, each with all of its requests, which determine the shared prefix."""
        pending = {visual_input_of(request) for request in self.pending_requests}
        groups: dict[VisualInput, list[PlannedRequest]] = {}
        for batch in self.batches:
            for request in batch:
                if (visual_input := visual_input_of(request)) in pending:
                    groups.setdefault(visual_input, []).append(request)
        return groups

    @property
    def ranks(self) -> frozenset[int] | None:
        """The processes that can answer all of its requests; None for all."""
        limits = [request.ranks for batch in self.batches for request in batch if request.ranks is not None]
        return frozenset.intersection(*limits) if limits else None


def visual_input_of(request: PlannedRequest) -> VisualInput:
    """Return the visual input of a request."""
    return VisualInput(request.media, request.rule, request.cube_rule)


def make_work_items(
    requests: Iterable[PlannedRequest],
    videos: Mapping[str, VideoInfo | None],
    costs: UnitCosts,
    *,
    batch_size: int,
    cache_bytes: int,
) -> list[WorkItem]:
    """Group requests into work items and cut them into batches.

    Args:
        requests: all requests of the run, answered ones included, in any order; of equal keys one is kept.
        videos: header of each video by content id; None where it could not be read.
        costs: costs of the model.
        batch_size: limit on the requests of a batch.
        cache_bytes: limit on the memory for the keys and values of a batch.

    Returns:
        The work items with pending requests, longest first.
    """
    distinct: dict[str, PlannedRequest] = {}
    for request in sorted(requests, key=lambda request: request.order):
        twin = distinct.setdefault(request.key, request)
        if twin.known and not request.known:  # a process without the answer needs one
            distinct[request.key] = replace(twin, known=False)
    groups: dict[Hashable, list[PlannedRequest]] = {}
    for request in distinct.values():
        groups.setdefault(_group_key(request), []).append(request)
    work_items = []
    for members in _pool(groups.values(), batch_size):
        members.sort(key=lambda request: (str(visual_input_of(request)), str(request.settings), request.order))
        item = WorkItem(tuple(_batches(members, videos, costs, batch_size, cache_bytes)))
        if item.pending:
            reads, estimate = _estimate(list(item.visual_inputs), videos, costs)
            cost_s = costs.seconds(estimate, len(item.pending_requests))
            work_items.append(replace(item, reads=reads, estimate=estimate, cost_s=cost_s))
    return sorted(work_items, key=lambda item: (-item.cost_s, item.batches[0][0].order))


def assign(work_items: Sequence[WorkItem], processes: int) -> list[list[WorkItem]]:
    """Assign each work item, longest first, to the process with the least to do that can answer it."""
    assigned: list[list[WorkItem]] = [[] for _ in range(processes)]
    loads = [(0.0, rank) for rank in range(processes)]
    for item in work_items:
        ranks = item.ranks
        load, rank = loads[0] if ranks is None else min(entry for entry in loads if entry[1] in ranks)
        assigned[rank].append(item)
        loads[loads.index((load, rank))] = (load + item.cost_s, rank)
        heapq.heapify(loads)
    return assigned


def _group_key(request: PlannedRequest) -> Hashable:
    """Return the key that keeps requests together: their video files, or else their images, or nothing."""
    videos = sorted({media.content_id for media in request.media if media.kind == "video"})
    if videos and request.ranks is None:
        return tuple(videos)
    # Separate tasks, because other processes may be able to answer the other task.
    return (request.task, *(videos or request.media or [request.key]))


def _pool(groups: Iterable[list[PlannedRequest]], batch_size: int) -> Iterable[list[PlannedRequest]]:
    """Merge groups without videos until they fill a batch; a group with a video stays by itself.

    Groups come in the order of their first requests. Groups of different tasks are not merged.
    """
    pools: dict[Hashable, list[PlannedRequest]] = {}
    for group in groups:
        if any(media.kind == "video" for media in group[0].media):
            yield group
            continue
        kind = (group[0].task, group[0].settings, group[0].rule, group[0].cube_rule)
        pool = pools.setdefault(kind, [])
        if pool and len(pool) + len(group) > batch_size:
            yield pools.pop(kind)
            pool = pools.setdefault(kind, [])
        pool.extend(group)
    yield from pools.values()


def _batches(
    members: list[PlannedRequest],
    videos: Mapping[str, VideoInfo | None],
    costs: UnitCosts,
    batch_size: int,
    cache_bytes: int,
) -> Iterable[Batch]:
    """Cut sorted requests into batches of equal settings and, where there are videos, of one visual input."""
    pooled = not any(media.kind == "video" for media in members[0].media)
    for _, group in groupby(
        members, key=lambda request: (None if pooled else visual_input_of(request), request.settings)
    ):
        requests = list(group)
        tokens = max(_estimate([visual_input_of(request)], videos, costs)[1].tokens for request in requests)
        size = min(batch_size, max(cache_bytes // max(tokens * costs.cache_bytes, 1), 1))
        for start in range(0, len(requests), size):
            yield tuple(requests[start : start + size])


def _estimate(
    visual_inputs: Sequence[VisualInput], videos: Mapping[str, VideoInfo | None], costs: UnitCosts
) -> tuple[tuple[FileRead, ...], CostEstimate]:
    """Return the files to read for the visual inputs, and the cost; a frame that several use is counted once."""
    total = CostEstimate()
    files: dict[tuple[str, str], dict[ClipRequest, CostEstimate]] = {}
    cubes: dict[str, int] = {}
    for visual_input in visual_inputs:
        total += sum((costs.image() for media in visual_input.media if media.kind == "image"), CostEstimate())
        rule = visual_input.cube_rule
        for media, clip in visual_input.videos():
            video = costs.video(videos.get(media.content_id), clip.rule, rule, media.start_s, media.end_s)
            files.setdefault((media.path or "", media.content_id), {})[clip] = video
            cubes[media.content_id] = max(cubes.get(media.content_id, 0), rule.cubes(max(video.frames, 1)))
            total += CostEstimate(tokens=video.tokens)
    reads = []
    for (path, content_id), clips in files.items():
        frames = costs.frames(videos.get(content_id), clips)
        reads.append(FileRead(path, content_id, tuple(clips), frames, cubes[content_id]))
        total += max(clips.values())._replace(frames=frames, tokens=0)
    return tuple(reads), total
