"""lmms-eval's requests, taken apart: each becomes a plain `Request`, and its task can be asked further.

A request holds functions of its task, which cannot go to another process. So what they say is written down in the
question, and only images in memory and the later rounds of a conversation are asked for again, where the question is
answered: the documents and functions of a task are the same in every process.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lmms_eval.api.instance import Instance

from qsv_eval.model_adapters.cubing import CubeRule
from qsv_eval.model_adapters.engine import run_context
from qsv_eval.model_adapters.engine.request import (
    GenerationSettings,
    Request,
    RequestKind,
    media_parts,
    messages_from_lmms,
    messages_from_visuals,
    rule_from_lmms,
    without_images,
)
from qsv_eval.model_adapters.errors import QsvError
from qsv_eval.model_adapters.frames import FrameRule

__all__ = ["RequestTranslator", "TranslatedRequests"]

_Doc = Mapping[str, Any]
_Messages = list[dict[str, Any]]


class _Call(NamedTuple):
    """One request in a common form."""

    task: str
    split: str
    doc_id: int | str
    messages: Callable[[_Doc], _Messages]
    """Builds our messages from the task's document."""
    generation: Mapping[str, Any]
    continuation: Any = ""
    """What is to be scored: a text, or a function that gives it."""
    following: Callable[[_Doc, int, list[str], Any], tuple[_Messages, Any] | None] | None = None
    """Gives a later round."""


class TranslatedRequests(NamedTuple):
    """Requests as questions."""

    questions: list[Request]
    places: list[int]
    """Which of them each request is: requests that only fill up a process's share stand for their twins."""


@dataclass
class RequestTranslator:
    """The requests of this process, and what their tasks can be asked."""

    documents: Mapping[str, Mapping[str, Any]]
    """lmms-eval's documents: task → split → sequence."""
    is_simple: bool
    """The form of the requests: a text and a function for its media, or a function for chat messages."""
    default_rule: FrameRule
    default_cube_rule: CubeRule
    calls: dict[tuple[str, RequestKind], _Call] = field(default_factory=dict)
    """A call of each task; its functions serve all documents."""

    @property
    def tasks(self) -> set[str]:
        """The tasks whose documents can be asked about here."""
        return {task for task, _ in self.calls}

    def translate(self, requests: Sequence[Instance], kind: RequestKind) -> TranslatedRequests:
        """Turn requests into questions. One that its task cannot build becomes a question with a fault."""
        repeats: Counter[tuple[Any, ...]] = Counter()
        first: dict[tuple[Any, ...], int] = {}
        questions: list[Request] = []
        places: list[int] = []
        for request in requests:
            call = self._call(request, kind)
            same = (call.task, call.split, call.doc_id, request.idx)
            if request.metadata.get("__padding_only__"):
                places.append(first[same])
                continue
            self.calls.setdefault((call.task, kind), call)
            first.setdefault(same, len(questions))
            places.append(len(questions))
            questions.append(self._question(call, kind, repeats[same]))
            repeats[same] += 1
        return TranslatedRequests(questions, places)

    def media(self, question: Request) -> list[Any]:
        """Return the media of a question's document as its task gives them, in order."""
        call = self._any_call(question)
        built = call.messages(self._document(question))
        return [part[part["type"]] for part in media_parts(built)]

    def next_round(self, question: Request, replies: Sequence[str], state: Any) -> tuple[_Messages, Any] | None:
        """Return the next messages of a conversation and what its task wants to remember, or None at its end."""
        following = self._any_call(question).following
        return following(self._document(question), len(replies), list(replies), state) if following else None

    def _any_call(self, question: Request) -> _Call:
        return self.calls[question.task, question.kind]

    def _document(self, question: Request) -> _Doc:
        return self.documents[question.task][question.split][question.doc_id]

    def _question(self, call: _Call, kind: RequestKind, repeat: int) -> Request:
        doc = self.documents[call.task][call.split][call.doc_id]
        generation, rule, cube_rule = (
            GenerationSettings.from_lmms(call.generation),
            self.default_rule,
            self.default_cube_rule,
        )
        messages: _Messages = []
        fault = continuation = ""
        try:
            rule, cube_rule = rule_from_lmms(call.generation, rule), cube_rule.but(call.generation)
            messages = without_images(call.messages(doc))
            continuation = call.continuation(doc) if callable(call.continuation) else str(call.continuation)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a task's code may do anything; the run goes on
            # Many of lmms-eval's tasks leave the process when a media file is missing. That is one sample's trouble.
            fault = str(error) if isinstance(error, SystemExit | QsvError) else f"{type(error).__name__}: {error}"
        run_context.note_request(call.task, generation, rule, cube_rule)
        return Request(
            task=call.task,
            doc_id=call.doc_id,
            split=call.split,
            repeat=repeat,
            sample_id=str(doc.get("question_id", call.doc_id)),
            messages=messages,
            generation=generation,
            rule=rule,
            cube_rule=cube_rule,
            kind=kind,
            continuation=continuation,
            fault=fault,
        )

    def _call(self, request: Instance, kind: RequestKind) -> _Call:
        if kind is RequestKind.SCORE:
            return _scored(request)
        return (_simple if self.is_simple else _chat)(request, kind)


def _chat(request: Instance, kind: RequestKind) -> _Call:
    _, doc_to_messages, generation, doc_id, task, split = request.args

    def following(doc: _Doc, number: int, replies: list[str], state: Any) -> tuple[_Messages, Any] | None:
        given = doc_to_messages(doc, round_idx=number, previous_output=replies, previous_round_info=state)
        if not (isinstance(given, tuple) and len(given) == 4):  # a task of one round
            return None
        messages, is_over, _, remembered = given
        return None if is_over else (messages_from_lmms(messages), remembered)

    def first(doc: _Doc) -> _Messages:
        return messages_from_lmms(doc_to_messages(doc))

    return _Call(task, split, doc_id, first, generation, following=following if kind is RequestKind.ROUNDS else None)


def _simple(request: Instance, kind: RequestKind) -> _Call:
    doc_to_text = None
    if kind is RequestKind.ROUNDS:
        text, generation, doc_to_visual, doc_to_text, doc_id, task, split = request.args
    else:
        text, generation, doc_to_visual, doc_id, task, split = request.args

    def following(doc: _Doc, number: int, replies: list[str], state: Any) -> tuple[_Messages, Any] | None:
        given = doc_to_text(doc, previous_output=replies, round_idx=number, previous_round_info=state)  # type: ignore[misc]
        if not (isinstance(given, tuple) and len(given) == 5):
            return None
        visuals, words, is_over, _, remembered = given
        return None if is_over else (messages_from_visuals(visuals, words), remembered)

    def first(doc: _Doc) -> _Messages:
        return messages_from_visuals(doc_to_visual(doc), text)

    return _Call(task, split, doc_id, first, generation, following=following if doc_to_text else None)


def _scored(request: Instance) -> _Call:
    if len(request.args) == 2:  # of a choice without its question, for mutual information
        text, continuation = request.args
        task, doc_id = request.task_name, request.doc_id
        split = request.metadata["split"]
        return _Call(task, split, doc_id, lambda _: messages_from_visuals(None, text), {}, continuation)
    text, continuation, doc_to_visual, doc_id, task, split = request.args
    return _Call(task, split, doc_id, lambda doc: messages_from_visuals(doc_to_visual(doc), text), {}, continuation)
