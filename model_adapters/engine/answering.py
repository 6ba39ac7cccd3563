"""Answer questions: known answers from the journal, the rest from the model, each written down at once."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple, cast

import torch
from tqdm import tqdm

from qsv_eval.model_adapters.engine import session
from qsv_eval.model_adapters.engine.answer_key import AnswerSettings, answer_key
from qsv_eval.model_adapters.engine.failure import note_failure
from qsv_eval.model_adapters.engine.journal import Fate, Journal, Record, VideoUse
from qsv_eval.model_adapters.engine.question import Generation, Question
from qsv_eval.model_adapters.errors import QsvError
from qsv_eval.model_adapters.quicksviewer import Quicksviewer, Reply

__all__ = ["Answerer"]

_log = logging.getLogger(__name__)


class _Keyed(NamedTuple):
    """A question that is to be asked, and under which key its answer is kept."""

    key: str
    question: Question


class _Ready(NamedTuple):
    """A question whose media have been read."""

    keyed: _Keyed
    conversation: list[dict[str, Any]]
    read_s: float


@dataclass
class Answerer:
    """Answers questions with one model and keeps every answer in a journal."""

    model: Quicksviewer
    journal: Journal
    settings: AnswerSettings
    batch_size: int = 1
    show_progress: bool = True
    asked: set[str] = field(default_factory=set)
    """Keys of the questions that were put to the model."""

    def answer(self, questions: Sequence[Question]) -> list[Record]:
        """Answer all questions, in their order. A question that fails costs its own record, never the run."""
        records: list[Record | None] = [None] * len(questions)
        places: dict[str, list[int]] = {}
        asked: dict[str, _Keyed] = {}
        for place, question in enumerate(questions):
            try:
                key = self._key(question)
            except Exception as error:  # noqa: BLE001 - naming a sample's media reads them: the run goes on
                records[place] = self._fail(_Keyed("", question), error)
                continue
            records[place] = self.journal.answer(key)
            if records[place] is None:
                places.setdefault(key, []).append(place)
                asked.setdefault(key, _Keyed(key, question))
        waiting = sum(map(len, places.values()))
        self.asked |= asked.keys()
        with self._progress(len(questions), len(questions) - waiting) as progress:
            for record in self._ask(list(asked.values())):
                for place in places[record.key]:
                    records[place] = record
                    progress.update()
        if None in records:
            raise AssertionError("every question has a record")
        return cast(list[Record], records)

    def _key(self, question: Question) -> str:
        if question.fault:
            raise QsvError(question.fault)
        return answer_key(self.settings, question)

    def _progress(self, total: int, known: int) -> tqdm:
        return tqdm(total=total, initial=known, desc="Answering", unit="question", disable=not self.show_progress)

    def _ask(self, asked: list[_Keyed]) -> Iterator[Record]:
        """Ask in batches of equal generation settings; yield records as they are written."""
        for generation, same in groupby(asked, key=lambda keyed: keyed.question.generation):
            group = list(same)
            for start in range(0, len(group), self.batch_size):
                yield from self._ask_batch(group[start : start + self.batch_size], generation)

    def _ask_batch(self, batch: Sequence[_Keyed], generation: Generation) -> Iterator[Record]:
        ready = []
        for keyed in batch:
            started = time.perf_counter()
            try:
                conversation = self.model.read_media(keyed.question.messages)
            except Exception as error:  # noqa: BLE001 - whatever one sample's media do, the run goes on
                yield self._fail(keyed, error)
            else:
                ready.append(_Ready(keyed, conversation, time.perf_counter() - started))
        if ready:
            yield from self._answer_batch(ready, generation)

    def _answer_batch(self, ready: list[_Ready], generation: Generation) -> Iterator[Record]:
        started = time.perf_counter()
        replies, failure = self._replies(ready, generation)
        if failure is not None and len(ready) == 1:
            yield self._fail(ready[0].keyed, failure)
            return
        if failure is not None:  # one of them fails, or all of them are too many at once
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            for one in ready:
                yield from self._answer_batch([one], generation)
            return
        share_s = (time.perf_counter() - started) / len(ready)
        for one, reply in zip(ready, replies, strict=True):
            yield self.journal.append(_record(one.keyed, _answered(reply, generation, one.read_s, share_s)))

    def _replies(self, ready: list[_Ready], generation: Generation) -> tuple[list[Reply], Exception | None]:
        """Return the replies, or what went wrong without its traceback, which would keep the batch's tensors alive."""
        try:
            return self.model.chat_batch([one.conversation for one in ready], **generation.for_model()), None
        except Exception as error:  # noqa: BLE001 - as above; memory that ran out included
            _log.debug("a batch of %d failed", len(ready), exc_info=True)
            return [], error.with_traceback(None)

    def _fail(self, keyed: _Keyed, error: Exception) -> Record:
        expected = isinstance(error, QsvError)
        reason = str(error) if expected else f"{type(error).__name__}: {error}"
        question = keyed.question
        _log.warning("%s, sample %s: %s", question.task, question.sample_id, reason, exc_info=not expected)
        note_failure(question.task, question.sample_id, reason)
        return self.journal.append(_record(keyed, {"fate": Fate.FAILED, "reason": reason}))


def _record(keyed: _Keyed, values: dict[str, Any]) -> Record:
    question = keyed.question
    return Record(
        key=keyed.key,
        task=question.task,
        doc_id=question.doc_id,
        split=question.split,
        repeat=question.repeat,
        sample_id=question.sample_id,
        **values,
    )


def _answered(reply: Reply, generation: Generation, read_s: float, answer_s: float) -> dict[str, Any]:
    videos = [
        VideoUse(timestamps_s=times or [], cubes=list(cubes), lost_frames=lost)
        for times, cubes, lost in zip(reply.frames, reply.cubes, reply.lost_frames, strict=True)
    ]
    return {
        "fate": Fate.ANSWERED,
        "text": generation.cut(reply.text),
        "videos": videos,
        "prompt_tokens": reply.prompt_tokens,
        "new_tokens": len(reply.token_ids),
        "read_s": round(read_s, 4),
        "answer_s": round(answer_s, 4),
        "environment": session.environment_line(),
    }
