"""The engine: answers the requests of all processes of a run and keeps every answer in the journal.

    probe files → gather requests → schedule → read ahead → encode → generate → journal → gather answers

All processes gather all requests and compute the same schedule; each answers its work items. A request whose answer is
in the journal is not sent to the model. Every answer is on disk at once: the exchange at the end only returns answers
to the processes that have the requests.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tqdm import tqdm

from qsv_eval.model_adapters.engine import distributed
from qsv_eval.model_adapters.engine.cache_key import AnswerSettings, answer_key
from qsv_eval.model_adapters.engine.cost_model import UnitCosts, describe_bytes
from qsv_eval.model_adapters.engine.failure import note_failure
from qsv_eval.model_adapters.engine.inference import Harness
from qsv_eval.model_adapters.engine.journal import Journal
from qsv_eval.model_adapters.engine.metrics import AnswerCost, Efficiency
from qsv_eval.model_adapters.engine.probe_files import FileProbe, probe_files
from qsv_eval.model_adapters.engine.records import (
    AnswerStatus,
    Assignment,
    ExitReason,
    Record,
    SampleKey,
    TaskTotal,
    failed_record,
)
from qsv_eval.model_adapters.engine.request import ImageInMemory, Request, RequestKind, media_parts
from qsv_eval.model_adapters.engine.scheduler import PlannedMedia, PlannedRequest, WorkItem, assign, make_work_items
from qsv_eval.model_adapters.engine.worker import EngineOptions, Worker
from qsv_eval.model_adapters.errors import QsvError
from qsv_eval.model_adapters.plurals import counted
from qsv_eval.model_adapters.quicksviewer import Quicksviewer

__all__ = ["Answer", "Engine", "EngineOptions", "planned_request"]


@dataclass(frozen=True)
class Answer:
    """The part of a record that is returned to the process that has the request."""

    status: AnswerStatus
    text: str
    rounds: list[str]
    loss: float | None
    is_greedy: bool | None
    reason: str
    prompt_tokens: int
    new_tokens: int
    lost_frames: bool
    """Whether frames of its videos could not be decoded."""
    degraded: bool
    cost: AnswerCost = field(compare=False)
    """Measured, so different each time."""

    @classmethod
    def of(cls, record: Record) -> "Answer":
        """Return the answer of a record."""
        lost = any(video.lost_frames for video in record.videos)
        computed: dict[str, Any] = {"status": record.fate, "lost_frames": lost, "cost": AnswerCost.of(record)}
        same = {each.name: getattr(record, each.name) for each in fields(cls) if each.name not in computed}
        return cls(**computed, **same)


class _RankInput(NamedTuple):
    """The contribution of one process to the schedule."""

    started_at: str
    requests: list[tuple[str, Request, bool]]
    """Answer key, request, and whether its journal has the answer."""
    files: dict[str, FileProbe]
    tasks: frozenset[str]
    """Tasks whose images in memory and further rounds this process can provide."""
    fault_counts: dict[str, int]
    """Number of requests of each task that cannot be sent to the model."""


@dataclass
class Engine:
    """Answers requests with one model and keeps every answer in a journal."""

    model: Quicksviewer
    journal: Journal
    settings: AnswerSettings
    harness: Harness
    options: EngineOptions = field(default_factory=EngineOptions)
    sent_keys: set[str] = field(default_factory=set)
    """Keys of the requests that were sent to the model, in all processes."""
    efficiency: Efficiency = field(default_factory=Efficiency)
    """Measurements of this process."""

    def answer(self, requests: Sequence[Request], tasks: Iterable[str] = ()) -> list[Answer]:
        """Answer all requests, in their order; every process of a run must make the same number of calls.

        Args:
            requests: the requests of this process. A request that fails costs its own answer, never the run.
            tasks: names of the tasks whose documents the harness of this process has.
        """
        try:
            return self._answer(requests, frozenset(tasks))
        except KeyboardInterrupt:
            self.journal.end(ExitReason.STOPPED, "interrupted")
            raise
        except BaseException as error:
            self.journal.end(ExitReason.FAILED, f"{type(error).__name__}: {error}")
            raise

    def _answer(self, requests: Sequence[Request], tasks: frozenset[str]) -> list[Answer]:
        files = probe_files(requests, show_progress=self.options.show_progress)
        content_ids = {path: file.content_id for path, file in files.items()}
        keys = [self._key_or_fault(request, files, content_ids) for request in requests]
        keyed = {key: request for key, request in zip(keys, requests, strict=True) if isinstance(key, str)}
        faults = [key for key in keys if isinstance(key, Record)]
        known = [(key, request, self.journal.answer(key) is not None) for key, request in keyed.items()]
        fault_counts = dict(Counter(fault.task for fault in faults))
        inputs = distributed.all_gather(_RankInput(datetime.now(UTC).isoformat(), known, files, tasks, fault_counts))
        assigned = assign(self._work_items(inputs), len(inputs))
        work_items = assigned[distributed.rank()]
        assignment = _assignment(inputs, work_items, self._renamed(keys, requests), self.settings.model_code)
        self.journal.begin(assignment)
        for fault in faults:
            self.journal.append(fault)
        if self.options.show_progress:
            self._print_plan(inputs, assigned)
            self._print_other_versions(inputs)
        worker = Worker(self.model, self.journal, self.harness, self.options, self.efficiency)
        records = worker.work(work_items, _requests_by_key(inputs))
        new = {key: Answer.of(record) for key, record in records.items()}
        answers = {key: answer for each in distributed.all_gather(new) for key, answer in each.items()}
        self.sent_keys |= answers.keys()
        return [self._find_answer(key, request, answers) for key, request in zip(keys, requests, strict=True)]

    def _key_or_fault(
        self, request: Request, files: Mapping[str, FileProbe], content_ids: Mapping[str, str]
    ) -> str | Record:
        faults = [request.fault, *(files[path].fault for path, _ in request.files)]
        if fault := next(filter(None, faults), ""):
            return failed_record(request, "", QsvError(fault))
        return answer_key(self.settings, request, content_ids)

    def _find_answer(self, key: str | Record, request: Request, answers: Mapping[str, Answer]) -> Answer:
        if isinstance(key, str) and key in answers:
            answer = answers[key]
        else:
            record = self.journal.answer(key) if isinstance(key, str) else key
            assert record is not None, "a request that was not sent has its answer in the journal"
            answer = Answer.of(record)
        if answer.status is AnswerStatus.FAILED:
            note_failure(request.task, request.sample_id, answer.reason)
        return answer

    def _renamed(self, keys: Sequence[str | Record], requests: Sequence[Request]) -> list[tuple[str, str, str]]:
        """Return task, sample id and key of the requests whose answer has another task name in the journal."""
        return [
            (request.task, request.sample_id, key)
            for key, request in zip(keys, requests, strict=True)
            if isinstance(key, str) and (record := self.journal.answer(key)) and record.task != request.task
        ]

    def _costs(self) -> UnitCosts:
        model = self.model.model
        return UnitCosts.of(
            model.config,
            frame_size=self.options.reading.size[0],
            value_bytes=model.dtype.itemsize,
            flops=3e10 if model.device.type == "cpu" else 1e14,
            readers=self.options.readers,
        )

    def _work_items(self, inputs: Sequence[_RankInput]) -> list[WorkItem]:
        files = {path: file for rank_input in inputs for path, file in rank_input.files.items()}
        ranks = {
            task: frozenset(rank for rank, rank_input in enumerate(inputs) if task in rank_input.tasks)
            for task in set().union(*(rank_input.tasks for rank_input in inputs))
        }
        planned = [
            planned_request(key, request, known, files, ranks.get(request.task, frozenset()))
            for rank_input in inputs
            for key, request, known in rank_input.requests
        ]
        return make_work_items(
            planned,
            {file.content_id: file.video for file in files.values()},
            self._costs(),
            batch_size=self.options.batch_size,
            cache_bytes=self.options.cache_bytes,
        )

    def _print_plan(self, inputs: Sequence[_RankInput], assigned: Sequence[Sequence[WorkItem]]) -> None:
        work_items = [item for items in assigned for item in items]
        if not work_items:
            return
        pending = sum(not request.known for item in work_items for request in item.pending_requests)
        plan = (
            f"Plan: {pending:,} of {counted(len(_requests_by_key(inputs)), 'request')} to answer, in "
            f"{counted(len(work_items), 'work item')} on {counted(len(assigned), 'process', 'processes')}"
        )
        loads = [sum(item.cost_s for item in items) for items in assigned]
        if len(loads) > 1:
            plan += f" (the busiest has {max(loads) / (sum(loads) / len(loads)) - 1:.0%} more than the average)"
        if reads := [(read.frames, read.cubes) for item in work_items for read in item.reads]:
            plan += f". The longest video: {describe_bytes(self._costs(), *max(reads), self.options.batch_size)}"
        tqdm.write(f"{plan}.", file=sys.stderr)

    def _print_other_versions(self, inputs: Sequence[_RankInput]) -> None:
        """Print how many requests have answers of another reply version in the journal, which are not used."""
        current = self.settings.model_code
        pending = {key: request for each in inputs for key, request, known in each.requests if not known}
        samples = (SampleKey.of(each.task, each.split, each.doc_id, each.repeat) for each in pending.values())
        versions = Counter(map(self.journal.version_of, samples))
        for version, count in versions.items():
            if version not in (None, current):
                tqdm.write(
                    f"{self.journal.folder}: answers to {counted(count, 'request')} of this run are of reply version "
                    f"{version}, and this is version {current}, which may reply differently: these requests are "
                    "answered again, and the old answers stay in the journal.",
                    file=sys.stderr,
                )


def _requests_by_key(inputs: Sequence[_RankInput]) -> dict[str, Request]:
    return {key: request for rank_input in inputs for key, request, _ in rank_input.requests}


def _assignment(
    inputs: Sequence[_RankInput],
    work_items: Sequence[WorkItem],
    renamed: list[tuple[str, str, str]],
    reply_version: str,
) -> Assignment:
    """Return the assignment of this process, with the totals of the run."""
    distinct = {key: (request.task, known) for each in inputs for key, request, known in each.requests}
    totals: dict[str, TaskTotal] = {}
    for task, known in distinct.values():
        total = totals.setdefault(task, TaskTotal(total=0, known=0))
        total.total, total.known = total.total + 1, total.known + known
    for rank_input in inputs:
        for task, count in rank_input.fault_counts.items():
            totals.setdefault(task, TaskTotal(total=0, known=0)).total += count
    requests = _requests_by_key(inputs)
    keys = [planned.key for item in work_items for planned in item.pending_requests if not planned.known]
    return Assignment(
        run=inputs[0].started_at,
        rank=distributed.rank(),
        world_size=len(inputs),
        reply_version=reply_version,
        totals=totals,
        questions=[(requests[key].task, requests[key].sample_id, key) for key in keys],
        renamed=renamed,
    )


def planned_request(
    key: str, request: Request, known: bool, files: Mapping[str, FileProbe], ranks: frozenset[int]
) -> PlannedRequest:
    """Return the values of a request for the scheduler; `ranks` are the processes that have its task."""

    def media(part: Mapping[str, Any]) -> PlannedMedia:
        source, bounds = part[part["type"]], (part.get("start_s"), part.get("end_s"))
        if isinstance(source, ImageInMemory):
            return PlannedMedia(part["type"], source.digest, None, *bounds)
        return PlannedMedia(part["type"], files[source].content_id, source, *bounds)

    document = (isinstance(request.doc_id, str), request.doc_id)  # numbers in their order, before names
    return PlannedRequest(
        key=key,
        task=request.task,
        order=(request.task, request.split, document, request.repeat, request.kind, request.continuation, key),
        media=tuple(media(part) for part in media_parts(request.messages)),
        rule=request.rule,
        cube_rule=request.cube_rule,
        settings=(request.kind, request.generation),
        known=known,
        ranks=ranks if request.in_memory or request.kind is RequestKind.ROUNDS else None,
    )
