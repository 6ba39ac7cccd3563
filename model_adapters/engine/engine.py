"""The engine: every process brings its questions, all of them plan together, each answers its share and tells the rest.

    describe → gather → plan → read ahead → look → answer → journal → gather

A question whose answer the journal holds is not asked. What a process answers is on its disk at once; the exchange at
the end only brings the answers to those whose questions they were.
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
from qsv_eval.model_adapters.engine.journal import (
    AnswerStatus,
    Assignment,
    ExitReason,
    Journal,
    Record,
    SampleKey,
    TaskTotal,
)
from qsv_eval.model_adapters.engine.metrics import AnswerCost, Efficiency
from qsv_eval.model_adapters.engine.probe_files import FileProbe, probe_files
from qsv_eval.model_adapters.engine.records import failed_record
from qsv_eval.model_adapters.engine.request import ImageInMemory, Request, RequestKind, media_parts
from qsv_eval.model_adapters.engine.scheduler import PlannedMedia, PlannedRequest, WorkItem, assign, make_work_items
from qsv_eval.model_adapters.engine.worker import EngineOptions, Worker
from qsv_eval.model_adapters.errors import QsvError
from qsv_eval.model_adapters.frames import VideoInfo
from qsv_eval.model_adapters.quicksviewer import Quicksviewer

__all__ = ["Answer", "Engine", "EngineOptions", "planned_request"]


@dataclass(frozen=True)
class Answer:
    """What of a record those want to know whose question it was."""

    fate: AnswerStatus
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
    use: AnswerCost = field(compare=False)
    """What it took, which is another thing each time."""

    @classmethod
    def of(cls, record: Record) -> "Answer":
        """Take it from a record."""
        lost = any(video.lost_frames for video in record.videos)
        same = {one.name: getattr(record, one.name) for one in fields(cls) if one.name not in ("lost_frames", "use")}
        return cls(lost_frames=lost, use=AnswerCost.of(record), **same)


class _RankInput(NamedTuple):
    """What one process brings to the plan."""

    started_at: str
    questions: list[tuple[str, Request, bool]]
    """Key, question, and whether its journal has the answer."""
    facts: dict[str, FileProbe]
    tasks: frozenset[str]
    """The tasks of which it can ask for images in memory and further rounds."""
    faults: dict[str, int]
    """How many questions of each task cannot be asked at all."""


@dataclass
class Engine:
    """Answers questions with one model and keeps every answer in a journal."""

    model: Quicksviewer
    journal: Journal
    settings: AnswerSettings
    harness: Harness
    options: EngineOptions = field(default_factory=EngineOptions)
    asked: set[str] = field(default_factory=set)
    """Keys of the questions that were put to the model, in all processes."""
    efficiency: Efficiency = field(default_factory=Efficiency)
    """Of this process."""

    def answer(self, questions: Sequence[Request], tasks: Iterable[str] = ()) -> list[Answer]:
        """Answer all questions, in their order; every process of a run must call this equally often.

        Args:
            questions: this process's own. A question that fails costs its own answer, never the run.
            tasks: names of the tasks whose documents the harness can be asked about here.
        """
        try:
            return self._answer(questions, frozenset(tasks))
        except KeyboardInterrupt:
            self.journal.end(ExitReason.STOPPED, "interrupted")
            raise
        except BaseException as error:
            self.journal.end(ExitReason.FAILED, f"{type(error).__name__}: {error}")
            raise

    def _answer(self, questions: Sequence[Request], tasks: frozenset[str]) -> list[Answer]:
        files = probe_files(questions, show_progress=self.options.show_progress)
        identities = {path: file.identity for path, file in files.items()}
        places: list[str | Record] = [self._key_or_fault(question, files, identities) for question in questions]
        own = {key: question for key, question in zip(places, questions, strict=True) if isinstance(key, str)}
        faults = [place for place in places if isinstance(place, Record)]
        brought = distributed.all_gather(self._brought(own, files, tasks, faults))
        shares = assign(self._units(brought), len(brought))
        mine = shares[distributed.rank()]
        share = _share(brought, mine, self._renamed(places, questions))
        self.journal.begin(share.model_copy(update={"reply_version": self.settings.model_code}))
        for fault in faults:
            self.journal.append(fault)
        everyone = {key: question for one in brought for key, question, _ in one.questions}
        self._say_plan(brought, shares)
        self._say_other_versions(brought)
        worker = Worker(self.model, self.journal, self.harness, self.options, self.efficiency)
        answered = {key: Answer.of(record) for key, record in worker.work(mine, everyone).items()}
        told = {key: answer for each in distributed.all_gather(answered) for key, answer in each.items()}
        self.asked |= told.keys()
        return [self._known_or_told(place, question, told) for place, question in zip(places, questions, strict=True)]

    def _key_or_fault(
        self, question: Request, files: Mapping[str, FileProbe], identities: Mapping[str, str]
    ) -> str | Record:
        faults = [question.fault, *(files[path].fault for path, _ in question.files)]
        if fault := next(filter(None, faults), ""):
            return failed_record(question, "", QsvError(fault))
        return answer_key(self.settings, question, identities)

    def _known_or_told(self, place: str | Record, question: Request, told: Mapping[str, Answer]) -> Answer:
        if isinstance(place, Record):
            answer = Answer.of(place)
        elif place in told:
            answer = told[place]
        else:
            record = self.journal.answer(place)
            assert record is not None, "what is not asked is known"
            answer = Answer.of(record)
        if answer.fate is AnswerStatus.FAILED:
            note_failure(question.task, question.sample_id, answer.reason)
        return answer

    def _brought(
        self,
        own: Mapping[str, Request],
        files: dict[str, FileProbe],
        tasks: frozenset[str],
        faults: Sequence[Record],
    ) -> _RankInput:
        known = [(key, question, self.journal.answer(key) is not None) for key, question in own.items()]
        counted: dict[str, int] = {}
        for fault in faults:
            counted[fault.task] = counted.get(fault.task, 0) + 1
        return _RankInput(datetime.now(UTC).isoformat(), known, files, tasks, counted)

    def _renamed(self, places: Sequence[str | Record], questions: Sequence[Request]) -> list[tuple[str, str, str]]:
        """Return task, sample id and key of the questions that were answered under the name of another task."""
        keyed = [(place, one) for place, one in zip(places, questions, strict=True) if isinstance(place, str)]
        known = [(one, record) for key, one in keyed if (record := self.journal.answer(key)) is not None]
        return [(one.task, one.sample_id, record.key) for one, record in known if record.task != one.task]

    def _costs(self) -> UnitCosts:
        model = self.model.model
        return UnitCosts.of(
            model.config,
            frame_size=self.options.reading.size[0],
            value_bytes=model.dtype.itemsize,
            flops=3e10 if model.device.type == "cpu" else 1e14,
            readers=self.options.readers,
        )

    def _units(self, brought: Sequence[_RankInput]) -> list[WorkItem]:
        files = {path: file for one in brought for path, file in one.facts.items()}
        able = {
            task: frozenset(rank for rank, one in enumerate(brought) if task in one.tasks)
            for task in set().union(*(one.tasks for one in brought))
        }
        asked = [
            planned_request(key, question, known, files, able.get(question.task, frozenset()))
            for one in brought
            for key, question, known in one.questions
        ]
        facts: dict[str, VideoInfo | None] = {file.identity: file.video for file in files.values()}
        options = self.options
        return make_work_items(
            asked, facts, self._costs(), batch_size=options.batch_size, cache_bytes=options.cache_bytes
        )

    def _say_plan(self, brought: Sequence[_RankInput], shares: Sequence[Sequence[WorkItem]]) -> None:
        units = [unit for share in shares for unit in share]
        if not units or not self.options.show_progress:
            return
        left = sum(not asked.known for unit in units for batch in unit.due for asked in batch)
        total = len({key for one in brought for key, _, _ in one.questions})
        loads = [sum(unit.cost_s for unit in share) for share in shares]
        spread = f" (shares within {max(loads) / (sum(loads) / len(loads)) - 1:.0%} of even)" if len(loads) > 1 else ""
        reads = [(read.frames, read.cubes) for unit in units for read in unit.reads]
        largest = (
            f" The longest video: {describe_bytes(self._costs(), *max(reads), self.options.batch_size)}."
            if reads
            else ""
        )
        processes = f"{len(shares)} process" + ("es" if len(shares) > 1 else "")
        tqdm.write(
            f"Plan: {left} of {total} questions in {len(units)} units for {processes}{spread}.{largest}",
            file=sys.stderr,
        )

    def _say_other_versions(self, brought: Sequence[_RankInput]) -> None:
        """Say before the start how many answers in the journal are of another reply version, so are not used."""
        if not self.options.show_progress:
            return
        current = self.settings.model_code
        due = {key: question for one in brought for key, question, known in one.questions if not known}
        samples = (SampleKey.of(one.task, one.split, one.doc_id, one.repeat) for one in due.values())
        found = map(self.journal.version_of, samples)
        others = Counter(version for version in found if version not in (None, current))
        for version, count in others.items():
            tqdm.write(
                f"{self.journal.folder}: {count} of these questions have answers of reply version {version}; this is "
                f"version {current}, which may answer otherwise, so they are asked again. The old answers stay on disk",
                file=sys.stderr,
            )


def _share(brought: Sequence[_RankInput], units: Sequence[WorkItem], renamed: list[tuple[str, str, str]]) -> Assignment:
    """Say what this process is going to ask, and how much the run has in all."""
    distinct = {key: (question.task, known) for one in brought for key, question, known in one.questions}
    totals: dict[str, TaskTotal] = {}
    for task, known in distinct.values():
        total = totals.setdefault(task, TaskTotal(total=0, known=0))
        total.total, total.known = total.total + 1, total.known + known
    for one in brought:
        for task, faults in one.faults.items():
            totals.setdefault(task, TaskTotal(total=0, known=0)).total += faults
    questions = {key: question for one in brought for key, question, _ in one.questions}
    mine = [asked.key for unit in units for batch in unit.due for asked in batch if not asked.known]
    return Assignment(
        run=brought[0].started_at,
        rank=distributed.rank(),
        world_size=len(brought),
        totals=totals,
        questions=[(questions[key].task, questions[key].sample_id, key) for key in mine],
        renamed=renamed,
    )


def planned_request(
    key: str, question: Request, known: bool, files: Mapping[str, FileProbe], able: frozenset[int]
) -> PlannedRequest:
    """Return the question as the plan sees it."""

    def media(part: Mapping[str, Any]) -> PlannedMedia:
        source, bounds = part[part["type"]], (part.get("start_s"), part.get("end_s"))
        if isinstance(source, ImageInMemory):
            return PlannedMedia(part["type"], source.digest, None, *bounds)
        return PlannedMedia(part["type"], files[source].identity, source, *bounds)

    document = (isinstance(question.doc_id, str), question.doc_id)  # numbers in their order, before names
    return PlannedRequest(
        key=key,
        task=question.task,
        order=(question.task, question.split, document, question.repeat, question.kind, question.continuation, key),
        media=tuple(media(part) for part in media_parts(question.messages)),
        rule=question.rule,
        cube_rule=question.cube_rule,
        settings=(question.kind, question.generation),
        known=known,
        able=able if question.in_memory or question.kind is RequestKind.ROUNDS else None,
    )
