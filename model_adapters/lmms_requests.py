"""Translation of lmms-eval's requests into plain `Request`s, and access to their tasks.

lmms-eval's requests hold functions of their task, which cannot be sent to another process. So the messages are built at
once, and only images in memory and later rounds of a conversation are requested from the task again, in the process
that answers: tasks have the same documents and functions in every process.
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

__all__ = ["RequestTranslator"]

_Doc = Mapping[str, Any]
_Messages = list[dict[str, Any]]


class _Call(NamedTuple):
    """An lmms-eval request in one form for chat and simple tasks."""

    task: str
    split: str
    doc_id: int | str
    messages: Callable[[_Doc], _Messages]
    """Builds our messages from the task's document."""
    generation: Mapping[str, Any]
    continuation: Any = ""
    """Text to score, or a function that returns it."""
    next_round: Callable[[_Doc, int, list[str], Any], tuple[_Messages, Any] | None] | None = None
    """Builds a later round of a conversation."""


@dataclass
class RequestTranslator:
    """Translator of this process's requests, and the engine's `Harness`."""

    documents: Mapping[str, Mapping[str, Any]]
    """lmms-eval's documents: task → split → sequence."""
    is_simple: bool
    """Whether requests have lmms-eval's older form: a text and a function for its media."""
    default_rule: FrameRule
    default_cube_rule: CubeRule
    calls: dict[tuple[str, RequestKind], _Call] = field(default_factory=dict)
    """One call of each task; its functions serve all documents."""

    @property
    def tasks(self) -> set[str]:
        """The tasks whose functions this process has."""
        return {task for task, _ in self.calls}

    def translate(self, instances: Sequence[Instance], kind: RequestKind) -> tuple[list[Request], list[int]]:
        """Return the requests for the engine, and the index among them for each of lmms-eval's.

        A request that its task cannot build has a fault. Copies that lmms-eval adds for padding have the same index.
        """
        repeats: Counter[tuple[Any, ...]] = Counter()
        first: dict[tuple[Any, ...], int] = {}
        requests: list[Request] = []
        indices: list[int] = []
        for instance in instances:
            call = self._call(instance, kind)
            sample = (call.task, call.split, call.doc_id, instance.idx)
            if instance.metadata.get("__padding_only__"):
                indices.append(first[sample])
                continue
            self.calls.setdefault((call.task, kind), call)
            first.setdefault(sample, len(requests))
            indices.append(len(requests))
            requests.append(self._request(call, kind, repeats[sample]))
            repeats[sample] += 1
        return requests, indices

    def media(self, request: Request) -> list[Any]:
        """Return the media of the request's document in order."""
        messages = self.calls[request.task, request.kind].messages(self._document(request))
        return [part[part["type"]] for part in media_parts(messages)]

    def next_round(self, request: Request, replies: Sequence[str], state: Any) -> tuple[_Messages, Any] | None:
        """Return the next messages of a conversation and the task's state, or None at its end."""
        next_round = self.calls[request.task, request.kind].next_round
        return next_round(self._document(request), len(replies), list(replies), state) if next_round else None

    def _document(self, request: Request | _Call) -> _Doc:
        return self.documents[request.task][request.split][request.doc_id]

    def _request(self, call: _Call, kind: RequestKind, repeat: int) -> Request:
        doc = self._document(call)
        generation = GenerationSettings.from_lmms(call.generation)
        rule, cube_rule = self.default_rule, self.default_cube_rule
        messages: _Messages = []
        fault = continuation = ""
        try:
            rule, cube_rule = rule_from_lmms(call.generation, rule), cube_rule.with_overrides(call.generation)
            messages = without_images(call.messages(doc))
            continuation = call.continuation(doc) if callable(call.continuation) else str(call.continuation)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a task's code may do anything; the run goes on
            # Many of lmms-eval's tasks exit the process when a media file is missing. That must cost one sample only.
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

    def _call(self, instance: Instance, kind: RequestKind) -> _Call:
        if kind is RequestKind.SCORE:
            return _score_call(instance)
        return (_simple_call if self.is_simple else _chat_call)(instance, kind)


def _chat_call(instance: Instance, kind: RequestKind) -> _Call:
    _, doc_to_messages, generation, doc_id, task, split = instance.args

    def next_round(doc: _Doc, index: int, replies: list[str], state: Any) -> tuple[_Messages, Any] | None:
        result = doc_to_messages(doc, round_idx=index, previous_output=replies, previous_round_info=state)
        if not (isinstance(result, tuple) and len(result) == 4):  # a task with a single round
            return None
        messages, is_over, _, new_state = result
        return None if is_over else (messages_from_lmms(messages), new_state)

    call = _Call(task, split, doc_id, lambda doc: messages_from_lmms(doc_to_messages(doc)), generation)
    return call._replace(next_round=next_round) if kind is RequestKind.ROUNDS else call


def _simple_call(instance: Instance, kind: RequestKind) -> _Call:
    doc_to_text = None
    if kind is RequestKind.ROUNDS:
        text, generation, doc_to_visual, doc_to_text, doc_id, task, split = instance.args
    else:
        text, generation, doc_to_visual, doc_id, task, split = instance.args

    def next_round(doc: _Doc, index: int, replies: list[str], state: Any) -> tuple[_Messages, Any] | None:
        result = doc_to_text(doc, previous_output=replies, round_idx=index, previous_round_info=state)  # type: ignore[misc]
        if not (isinstance(result, tuple) and len(result) == 5):
            return None
        visuals, next_text, is_over, _, new_state = result
        return None if is_over else (messages_from_visuals(visuals, next_text), new_state)

    call = _Call(task, split, doc_id, lambda doc: messages_from_visuals(doc_to_visual(doc), text), generation)
    return call._replace(next_round=next_round) if doc_to_text else call


def _score_call(instance: Instance) -> _Call:
    if len(instance.args) == 2:  # a choice without its question, for mutual information
        text, continuation = instance.args
        task, split, doc_id = instance.task_name, instance.metadata["split"], instance.doc_id
        return _Call(task, split, doc_id, lambda _: messages_from_visuals(None, text), {}, continuation)
    text, continuation, doc_to_visual, doc_id, task, split = instance.args
    return _Call(task, split, doc_id, lambda doc: messages_from_visuals(doc_to_visual(doc), text), {}, continuation)
