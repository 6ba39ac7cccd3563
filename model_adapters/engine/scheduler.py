"""The plan: which process answers what, in which order and batches. Pure: no model, no files, no other processes.

Questions on the same videos form a unit, whose files are read once and never by two processes. Batches are cut from the
questions of the whole run, answered ones included, and never from what a process happens to hold, so that an answer
depends neither on the number of processes nor on where an earlier run was stopped. Units go out longest first, each to
the process with the least to do, which is within 4/3 of the best there is and in practice within a few percent.
"""

import heapq
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import NamedTuple

from qsv_eval.model_adapters.cubing import CubeRule
from qsv_eval.model_adapters.engine.cost_model import CostEstimate, UnitCosts
from qsv_eval.model_adapters.frames import ClipRequest, FrameRule, VideoInfo

__all__ = [
    "Batch",
    "FileRead",
    "PlannedMedia",
    "PlannedRequest",
    "VisualInput",
    "WorkItem",
    "assign",
    "make_work_items",
    "visual_input_of",
]


class PlannedMedia(NamedTuple):
    """One video or image of a question."""

    kind: str
    """"video" or "image"."""
    identity: str
    """Names its content."""
    path: str | None
    """None for an image in memory."""
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True)
class PlannedRequest:
    """A question as the plan sees it. Equal keys are one question."""

    key: str
    task: str
    order: tuple[Hashable, ...]
    """Its place among all questions of the run, whoever holds it."""
    media: tuple[PlannedMedia, ...]
    rule: FrameRule
    cube_rule: CubeRule
    settings: Hashable
    """What the questions of a batch must have in common beside what they look at."""
    known: bool = False
    """Answered by an earlier run."""
    able: frozenset[int] | None = None
    """The processes that can answer it; None for all."""


Batch = tuple[PlannedRequest, ...]


class VisualInput(NamedTuple):
    """What one look shows: media under the rules for frames and cubes. All questions on it share a prefix."""

    media: tuple[PlannedMedia, ...]
    rule: FrameRule
    cube_rule: CubeRule

    def videos(self) -> list[tuple[PlannedMedia, ClipRequest]]:
        """Return its videos, in order, and what is wanted of each."""
        videos = [media for media in self.media if media.kind == "video"]
        return [(video, ClipRequest(self.rule, video.start_s, video.end_s)) for video in videos]


class FileRead(NamedTuple):
    """A video file that is read once for all sights that show it."""

    path: str
    identity: str
    requests: tuple[ClipRequest, ...]
    frames: int
    """About how many of its frames that takes."""
    cubes: int = 0
    """The most that one of the sights cuts it into."""


@dataclass(frozen=True)
class WorkItem:
    """Work that one process does in one go."""

    batches: tuple[Batch, ...]
    """Of all its questions. Those of one sight follow each other."""
    reads: tuple[FileRead, ...] = ()
    """The files of the due batches."""
    expected: CostEstimate = field(default_factory=CostEstimate)
    """Of all that has to be read and looked at."""
    cost_s: float = 0.0

    @property
    def due(self) -> list[Batch]:
        """The batches with a question that has no answer yet; they are answered whole, as they were before."""
        return [batch for batch in self.batches if any(not asked.known for asked in batch)]

    @property
    def sights(self) -> dict[VisualInput, list[PlannedRequest]]:
        """The sights of the due batches, each with all of its questions: what they have in common is their prefix."""
        due = {visual_input_of(asked) for batch in self.due for asked in batch}
        found: dict[VisualInput, list[PlannedRequest]] = {}
        for batch in self.batches:
            for asked in batch:
                if (sight := visual_input_of(asked)) in due:
                    found.setdefault(sight, []).append(asked)
        return found

    @property
    def able(self) -> frozenset[int] | None:
        """The processes that can answer all of it; None for all."""
        limits = [asked.able for batch in self.batches for asked in batch if asked.able is not None]
        return frozenset.intersection(*limits) if limits else None


def visual_input_of(asked: PlannedRequest) -> VisualInput:
    """Return what a question looks at."""
    return VisualInput(asked.media, asked.rule, asked.cube_rule)


def make_work_items(
    questions: Iterable[PlannedRequest],
    facts: Mapping[str, VideoInfo | None],
    costs: UnitCosts,
    *,
    batch_size: int,
    cache_bytes: int,
) -> list[WorkItem]:
    """Group questions and cut them into batches.

    Args:
        questions: all questions of the run, in any order; of equal keys one is kept.
        facts: length and size of each video by its identity.
        costs: what frames and tokens cost with the model.
        batch_size: questions that are answered at once, at the most.
        cache_bytes: what their keys and values may take.

    Returns:
        The units that have something left to answer, longest first.
    """
    distinct: dict[str, PlannedRequest] = {}
    for asked in sorted(questions, key=lambda asked: asked.order):
        twin = distinct.setdefault(asked.key, asked)
        if twin.known and not asked.known:  # whoever brings it has to get an answer
            distinct[asked.key] = replace(twin, known=False)
    groups: dict[Hashable, list[PlannedRequest]] = {}
    for asked in distinct.values():
        groups.setdefault(_group_of(asked), []).append(asked)
    units = []
    for members in _pooled(groups.values(), batch_size):
        members.sort(key=lambda asked: (str(visual_input_of(asked)), str(asked.settings), asked.order))
        batches = tuple(_batches(members, facts, costs, batch_size, cache_bytes))
        unit = WorkItem(batches)
        if unit.due:
            reads, expected = _expected(list(unit.sights), facts, costs)
            cost_s = costs.seconds(expected, sum(map(len, unit.due)))
            units.append(replace(unit, reads=reads, expected=expected, cost_s=cost_s))
    return sorted(units, key=lambda unit: (-unit.cost_s, unit.batches[0][0].order))


def assign(units: Sequence[WorkItem], processes: int) -> list[list[WorkItem]]:
    """Deal units, longest first, each to the process with the least to do that can answer it."""
    shares: list[list[WorkItem]] = [[] for _ in range(processes)]
    loads = [(0.0, rank) for rank in range(processes)]
    for unit in units:
        able = unit.able
        load, rank = loads[0] if able is None else min(entry for entry in loads if entry[1] in able)
        shares[rank].append(unit)
        loads[loads.index((load, rank))] = (load + unit.cost_s, rank)
        heapq.heapify(loads)
    return shares


def _group_of(asked: PlannedRequest) -> Hashable:
    """Return what keeps questions together: their video files, or else their images, or nothing."""
    videos = sorted({media.identity for media in asked.media if media.kind == "video"})
    if videos and asked.able is None:
        return tuple(videos)
    # Not across tasks: the processes that can answer one need not be those that can answer the other.
    return (asked.task, *(videos or asked.media or [asked.key]))


def _pooled(groups: Iterable[list[PlannedRequest]], batch_size: int) -> Iterable[list[PlannedRequest]]:
    """Put groups without a video together until they fill a batch; a group with a video stays by itself.

    Groups come in the order of their first questions; different tasks are not pooled.
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
    facts: Mapping[str, VideoInfo | None],
    costs: UnitCosts,
    batch_size: int,
    cache_bytes: int,
) -> Iterable[Batch]:
    """Cut into batches of the same settings, and of the same sight where there are videos."""
    pooled = not any(media.kind == "video" for media in members[0].media)
    for _, same in groupby(members, key=lambda asked: (None if pooled else visual_input_of(asked), asked.settings)):
        questions = list(same)
        tokens = max(_expected([visual_input_of(asked)], facts, costs)[1].tokens for asked in questions)
        size = min(batch_size, max(cache_bytes // max(tokens * costs.cache_bytes, 1), 1))
        for start in range(0, len(questions), size):
            yield tuple(questions[start : start + size])


def _expected(
    sights: Sequence[VisualInput], facts: Mapping[str, VideoInfo | None], costs: UnitCosts
) -> tuple[tuple[FileRead, ...], CostEstimate]:
    """Say what to read for the sights, and add up what that takes; a frame that several want is counted once."""
    total = CostEstimate()
    files: dict[tuple[str, str], dict[ClipRequest, CostEstimate]] = {}
    most: dict[str, int] = {}
    for sight in sights:
        total += sum((costs.image() for media in sight.media if media.kind == "image"), CostEstimate())
        for media, request in sight.videos():
            video = costs.video(facts.get(media.identity), request.rule, sight.cube_rule, media.start_s, media.end_s)
            files.setdefault((media.path or "", media.identity), {})[request] = video
            most[media.identity] = max(most.get(media.identity, 0), sight.cube_rule.cubes(max(video.frames, 1)))
            total += CostEstimate(tokens=video.tokens)
    reads = []
    for (path, identity), wanted in files.items():
        frames = costs.frames(facts.get(identity), wanted)
        reads.append(FileRead(path, identity, tuple(wanted), frames, most[identity]))
        total += max(wanted.values())._replace(frames=frames, tokens=0)
    return tuple(reads), total
