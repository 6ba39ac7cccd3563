"""One process at work on its work items: reads videos ahead, answers item by item, and writes every answer down."""

import math
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from tqdm import tqdm

from qsv_eval.model_adapters.engine import oom, run_context
from qsv_eval.model_adapters.engine.inference import Generated, Harness, WorkItemRunner
from qsv_eval.model_adapters.engine.journal import Journal
from qsv_eval.model_adapters.engine.media_encoder import MediaEncoder
from qsv_eval.model_adapters.engine.metrics import Efficiency
from qsv_eval.model_adapters.engine.readahead import PlannedRead, ReadAhead
from qsv_eval.model_adapters.engine.records import AnswerStatus, Record, VideoUse, failed_record, sample_fields
from qsv_eval.model_adapters.engine.request import Request
from qsv_eval.model_adapters.engine.scheduler import PlannedRequest, VisualInput, WorkItem, visual_input_of
from qsv_eval.model_adapters.frames.read_job import ReadJob, ReadSettings
from qsv_eval.model_adapters.quicksviewer import Quicksviewer
from qsv_eval.model_adapters.stage_timer import StageTimer

__all__ = ["EngineOptions", "Worker"]


@dataclass(frozen=True)
class EngineOptions:
    """Options of the engine. Except for `allow_degraded`, none changes an answer by more than rounding."""

    batch_size: int = 1
    """Limit on the requests of a batch."""
    cache_bytes: int = 8 << 30
    """Limit on the memory for the keys and values of a batch."""
    readers: int = 1
    """Processes that read videos ahead; with 0, each video is read when it is needed."""
    readahead_bytes: int = 2 << 30
    """Main memory for frames that are being read or wait to be used."""
    read_limit_s: float = 600.0
    """Timeout per file in seconds."""
    reading: ReadSettings = field(default_factory=lambda: ReadSettings((384, 384)))
    allow_degraded: bool = False
    """Use fewer frames where memory runs out, and mark the answer."""
    show_progress: bool = True


@dataclass
class Worker:
    """Answers work items with one model."""

    model: Quicksviewer
    journal: Journal
    harness: Harness
    options: EngineOptions
    efficiency: Efficiency
    """Measurements, which the worker adds to."""

    def work(self, work_items: Sequence[WorkItem], requests: Mapping[str, Request]) -> dict[str, Record]:
        """Answer the work items and return the records of the requests that had no answer yet, by key."""
        records: dict[str, Record] = {}
        options = self.options
        frame_bytes = 3 * math.prod(options.reading.size)
        started = time.perf_counter()
        planned = [
            PlannedRead(ReadJob(read.path, read.clips), max(read.frames, 1) * frame_bytes)
            for item in work_items
            for read in item.reads
        ]
        total = sum(not request.known for item in work_items for request in item.pending_requests)
        timer = StageTimer(torch.cuda.synchronize if self.model.model.device.type == "cuda" else None)
        with (
            timer.running(),
            ReadAhead(
                planned,
                options.reading,
                readers=options.readers,
                budget_bytes=options.readahead_bytes,
                limit_s=options.read_limit_s,
            ) as readahead,
            tqdm(total=total, desc="Answering", unit="request", disable=not options.show_progress) as progress,
        ):
            for item in work_items:
                for record in self._answer(item, requests, readahead, timer):
                    records[record.key] = record
                    progress.update()
        self.efficiency.add_stages(timer.seconds)
        self.efficiency.wall_s += time.perf_counter() - started
        return records

    def _answer(
        self, item: WorkItem, requests: Mapping[str, Request], readahead: ReadAhead, timer: StageTimer
    ) -> Iterator[Record]:
        oom.start_peak()
        encoder, read_s = MediaEncoder(self.model, allow_degraded=self.options.allow_degraded), 0.0
        for read in item.reads:
            with readahead.take() as result:
                encoder.encode_file(read, result)
                self.efficiency.add_read(read.content_id, result)
                read_s += result.read_s
                del result  # frees the frames
        runner = WorkItemRunner(self.model, item, requests, self.harness, encoder, self.options.allow_degraded)
        pending = item.pending_requests
        attribution = _TimeAttribution(timer, pending)
        for batch in item.pending:
            runner.prepare(batch)
            attribution.add_preparation(batch)
            results = runner.answer(batch)
            attribution.add(batch)
            for request in batch:
                if not request.known:
                    seconds = attribution.seconds[request.key]
                    record = _make_record(results[request.key], request.key, seconds, read_s / len(pending))
                    record = self.journal.append(record)
                    self.efficiency.add_record(record)
                    yield record


class _TimeAttribution:
    """Seconds of each request by stage; time that several requests share is divided evenly among them."""

    def __init__(self, timer: StageTimer, pending: Sequence[PlannedRequest]) -> None:
        """Attribute the time since the last lap, for encoding the files of the work item, to all of its requests."""
        self.seconds: dict[str, dict[str, float]] = {request.key: defaultdict(float) for request in pending}
        self._timer = timer
        self._pending = pending
        self._visual_inputs: set[VisualInput] = set()
        self.add(pending)

    def add_preparation(self, batch: Sequence[PlannedRequest]) -> None:
        """Attribute the time for new visual inputs and their prefixes to all requests on these visual inputs."""
        new = {visual_input_of(request) for request in batch} - self._visual_inputs
        self._visual_inputs |= new
        self.add([request for request in self._pending if visual_input_of(request) in new] or batch)

    def add(self, requests: Sequence[PlannedRequest]) -> None:
        """Attribute the time since the last lap to the requests."""
        for stage, seconds in self._timer.lap().items():
            for request in requests:
                self.seconds[request.key][stage] += seconds / len(requests)


def _make_record(result: Generated, key: str, seconds: Mapping[str, float], read_s: float) -> Record:
    """Return the record of a result, with the seconds that it took."""
    measured: dict[str, Any] = {
        "seconds": {stage: round(value, 4) for stage, value in seconds.items() if value >= 5e-5},
        "read_s": round(read_s, 4),
        "peak_bytes": oom.peak_bytes(),
        "environment": run_context.environment_line(),
    }
    request, reply = result.request, result.reply
    if result.error is not None or reply is None:
        error = result.error or AssertionError("neither a reply nor an error")
        return failed_record(request, key, error, **measured)
    return Record(
        key=key,
        **sample_fields(request),
        fate=AnswerStatus.ANSWERED,
        text=request.generation.cut(reply.text),
        rounds=list(result.rounds),
        loss=None if result.score is None else result.score.loss,
        is_greedy=None if result.score is None else result.score.is_greedy,
        degraded=result.degraded,
        videos=[
            VideoUse(timestamps_s=[round(time, 4) for time in times or []], cubes=list(cubes), lost_frames=lost)
            for times, cubes, lost in zip(reply.frames, reply.cubes, reply.lost_frames, strict=True)
        ],
        prompt_tokens=reply.prompt_tokens,
        visual_tokens=reply.visual_tokens,
        new_tokens=len(reply.token_ids),
        **measured,
    )
