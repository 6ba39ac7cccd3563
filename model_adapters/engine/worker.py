"""One process at work on its share: videos are read ahead, units answered one by one, every answer written down."""

import math
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from tqdm import tqdm

from qsv_eval.model_adapters.engine import oom
from qsv_eval.model_adapters.engine.inference import Generated, Harness, WorkItemRunner
from qsv_eval.model_adapters.engine.journal import Journal, Record
from qsv_eval.model_adapters.engine.media_encoder import MediaEncoder
from qsv_eval.model_adapters.engine.metrics import Efficiency
from qsv_eval.model_adapters.engine.readahead import PlannedRead, ReadAhead
from qsv_eval.model_adapters.engine.records import record_of
from qsv_eval.model_adapters.engine.request import Request
from qsv_eval.model_adapters.engine.scheduler import Batch, PlannedRequest, VisualInput, WorkItem, visual_input_of
from qsv_eval.model_adapters.frames.read_job import ReadJob, ReadSettings
from qsv_eval.model_adapters.quicksviewer import Quicksviewer
from qsv_eval.model_adapters.stage_timer import StageTimer

__all__ = ["EngineOptions", "Worker"]


@dataclass(frozen=True)
class EngineOptions:
    """How the engine works; nothing of this moves an answer by more than rounding, but for `allow_degraded`."""

    batch_size: int = 1
    """Questions that are answered at once, at the most."""
    cache_bytes: int = 8 << 30
    """What keys and values of a batch may take."""
    readers: int = 1
    """Processes that read videos ahead; with 0 each is read when its turn comes."""
    readahead_bytes: int = 2 << 30
    """Main memory for frames that are read or wait for their turn."""
    read_limit_s: float = 600.0
    """A reader that takes longer for a file is ended."""
    reading: ReadSettings = field(default_factory=lambda: ReadSettings((384, 384)))
    allow_degraded: bool = False
    """Step down to fewer frames where memory runs out, and mark the answer."""
    show_progress: bool = True


@dataclass
class Worker:
    """Answers units with one model."""

    model: Quicksviewer
    journal: Journal
    harness: Harness
    options: EngineOptions
    efficiency: Efficiency
    """Where it counts what it took."""

    def work(self, units: Sequence[WorkItem], questions: Mapping[str, Request]) -> dict[str, Record]:
        """Answer units; return the records of the questions that had no answer yet, by key."""
        records: dict[str, Record] = {}
        options = self.options
        frame_bytes = 3 * math.prod(options.reading.size)
        started = time.perf_counter()
        planned = [
            PlannedRead(ReadJob(read.path, read.requests), max(read.frames, 1) * frame_bytes)
            for unit in units
            for read in unit.reads
        ]
        left = sum(not asked.known for unit in units for batch in unit.due for asked in batch)
        watch = StageTimer(_synchroniser(self.model))
        reading = ReadAhead(
            planned,
            options.reading,
            readers=options.readers,
            budget_bytes=options.readahead_bytes,
            limit_s=options.read_limit_s,
        )
        with (
            watch.running(),
            reading as ahead,
            tqdm(total=left, desc="Answering", unit="question", disable=not options.show_progress) as progress,
        ):
            for unit in units:
                for record in self._answer(unit, questions, ahead, watch):
                    records[record.key] = record
                    progress.update()
        self.efficiency.add_stages(watch.seconds)
        self.efficiency.wall_s += time.perf_counter() - started
        return records

    def _answer(
        self, unit: WorkItem, questions: Mapping[str, Request], ahead: ReadAhead, watch: StageTimer
    ) -> Iterator[Record]:
        oom.start_peak()
        scene, read_s = MediaEncoder(self.model, allow_degraded=self.options.allow_degraded), 0.0
        for read in unit.reads:
            with ahead.take() as result:
                scene.see(read, result)
                self.efficiency.add_read(read.identity, result)
                read_s += result.read_s
                del result  # with it the frames go
        work = WorkItemRunner(self.model, unit, questions, self.harness, scene, self.options.allow_degraded)
        due = [asked for batch in unit.due for asked in batch]
        bill = _TimeAttribution(watch, due)
        for batch in unit.due:
            work.get_ready(batch)
            bill.got_ready(batch)
            said = work.answer(batch)
            bill.answered(batch)
            for asked in batch:
                if not asked.known:
                    yield self._written(asked, said[asked.key], bill.of(asked), read_s / len(due))

    def _written(self, asked: PlannedRequest, said: Generated, seconds: Mapping[str, float], read_s: float) -> Record:
        record = self.journal.append(record_of(said, asked.key, seconds, read_s))
        self.efficiency.add_record(record)
        return record


class _TimeAttribution:
    """Who pays for the time: what several questions share is divided evenly among them."""

    def __init__(self, watch: StageTimer, due: Sequence[PlannedRequest]) -> None:
        """Bill what was done since the last lap, which is looking at the unit's files, to all of its questions."""
        self._watch = watch
        self._due = due
        self._seconds: dict[str, dict[str, float]] = {asked.key: defaultdict(float) for asked in due}
        self._seen: set[VisualInput] = set()
        self._share(due)

    def got_ready(self, batch: Batch) -> None:
        """Bill the looks and the prefix of sights that are new to all of the questions on them."""
        fresh = {visual_input_of(asked) for asked in batch} - self._seen
        self._seen |= fresh
        self._share([asked for asked in self._due if visual_input_of(asked) in fresh] or batch)

    def answered(self, batch: Batch) -> None:
        """Bill the rest to the batch."""
        self._share(batch)

    def of(self, asked: PlannedRequest) -> Mapping[str, float]:
        """Return a question's seconds by stage."""
        return self._seconds[asked.key]

    def _share(self, questions: Sequence[PlannedRequest]) -> None:
        for name, seconds in self._watch.lap().items():
            for asked in questions:
                self._seconds[asked.key][name] += seconds / len(questions)


def _synchroniser(model: Quicksviewer) -> Any:
    return torch.cuda.synchronize if model.model.device.type == "cuda" else None
