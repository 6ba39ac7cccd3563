"""Answer the questions of one unit: what they have in common is read once, and they are answered batch by batch.

Whatever goes wrong costs the questions that it concerns, never the run: a failure is a result with a reason. Where
memory runs out, a question is tried once more alone, then (if that is allowed) with fewer frames, and then it failed.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import torch

from qsv_eval.model_adapters.engine import oom
from qsv_eval.model_adapters.engine.media_encoder import EncodedMedia, MediaEncoder
from qsv_eval.model_adapters.engine.request import ImageInMemory, Request, RequestKind, media_parts
from qsv_eval.model_adapters.engine.scheduler import Batch, PlannedRequest, VisualInput, WorkItem, visual_input_of
from qsv_eval.model_adapters.engine.subtitles import insert_subtitles
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.frames import read_image
from qsv_eval.model_adapters.quicksviewer import Quicksviewer, Reply
from qsv_eval.model_adapters.quicksviewer.generation import (
    NO_PREFIX,
    ContinuationScore,
    MergedPrompt,
    Prefix,
    common_length,
    generate,
    read_prefix,
    score,
)

__all__ = ["Generated", "Harness", "WorkItemRunner"]


class Harness(Protocol):
    """What only the side of the harness knows of a question."""

    def media(self, question: Request) -> Sequence[Any]:
        """Return the media of its document as the task gives them, in order: images in memory are taken from here."""
        ...

    def next_round(self, question: Request, replies: Sequence[str], state: Any) -> tuple[list[Any], Any] | None:
        """Return the next messages of a conversation and what its task wants to remember, or None at its end."""
        ...


class Generated(NamedTuple):
    """What came of one question: a reply, a score, or an error."""

    question: Request
    reply: Reply | None = None
    score: ContinuationScore | None = None
    rounds: tuple[str, ...] = ()
    degraded: bool = False
    error: Exception | None = None


class _Prepared(NamedTuple):
    """A question whose prompt stands."""

    asked: PlannedRequest
    question: Request
    conversation: list[dict[str, Any]]
    prompt: MergedPrompt
    look: EncodedMedia


@dataclass
class WorkItemRunner:
    """A unit while it is answered."""

    model: Quicksviewer
    unit: WorkItem
    questions: Mapping[str, Request]
    """All questions of the run by answer key."""
    harness: Harness
    scene: MediaEncoder
    """Has seen the unit's files."""
    allow_degraded: bool = False

    def __post_init__(self) -> None:
        """Nothing has been looked at yet."""
        self._sights = self.unit.sights
        self._looks: dict[Hashable, EncodedMedia] = {}
        self._answered: dict[Hashable, list[Generated]] = {}
        self._ready: dict[str, _Prepared | Exception] = {}
        self._prefix: tuple[VisualInput, Prefix] | None = None

    def get_ready(self, batch: Batch) -> None:
        """Look at what the batch's questions are about and read what their prompts begin with, if that is new."""
        ready = [one for asked in batch if isinstance(one := self._prepared(asked), _Prepared)]
        if ready and _same_asked(ready) not in self._answered:
            # Where there is no room for a prefix, the questions are tried without.
            oom.catch_sample_error(self._prefix_of, batch)

    def answer(self, batch: Batch) -> dict[str, Generated]:
        """Answer a batch that is ready; return by key what came of each question."""
        said: dict[str, Generated] = {}
        ready: list[_Prepared] = []
        for asked in batch:
            prepared = self._prepared(asked)
            if isinstance(prepared, Exception):
                said[asked.key] = Generated(self.questions[asked.key], error=prepared)
            else:
                ready.append(prepared)
        if ready:
            found = self._repeated(ready) or self._answer_together(ready)
            said |= {one.asked.key: answer for one, answer in zip(ready, found, strict=True)}
        return said

    def _repeated(self, ready: Sequence[_Prepared]) -> list[Generated] | None:
        """Return what was said when just this was asked before, as cells of a sweep do of a short video."""
        before = self._answered.get(_same_asked(ready))
        if before is None:
            return None
        return [said._replace(question=one.question) for said, one in zip(before, ready, strict=True)]

    def _answer_together(self, ready: Sequence[_Prepared]) -> list[Generated]:
        found = oom.catch_sample_error(self._ask_on_prefix, ready)
        if isinstance(found, Exception):
            return [self._alone(one, len(ready), found) for one in ready]
        if ready[0].question.kind is not RequestKind.ROUNDS and not ready[0].question.generation.do_sample:
            self._answered[_same_asked(ready)] = found
        return found

    def _alone(self, ready: _Prepared, together: int, error: Exception) -> Generated:
        """Try a question again by itself, when it failed together with others or for want of memory."""
        if together == 1 and not oom.is_out_of_memory(error):
            return Generated(ready.question, error=error)
        self._prefix = None
        oom.free_memory()
        found = oom.catch_sample_error(self._ask, [ready], NO_PREFIX)
        for rung in oom.smaller_frame_counts(ready.look.frames) if self.allow_degraded else []:
            if not oom.is_out_of_memory(found):
                break
            oom.free_memory()
            found = oom.catch_sample_error(self._ask_with_fewer, ready.asked, rung)
        return Generated(ready.question, error=found) if isinstance(found, Exception) else found[0]

    def _prepared(self, asked: PlannedRequest) -> _Prepared | Exception:
        """Return a question's prompt, laid out once, or why it cannot be."""
        if asked.key not in self._ready:
            self._ready[asked.key] = oom.catch_sample_error(self._prepare, asked)
        return self._ready[asked.key]

    def _prepare(self, asked: PlannedRequest) -> _Prepared:
        sight = visual_input_of(asked)
        shown = self.scene.shows(sight)
        if shown not in self._looks:
            self._looks[shown] = self._look(sight)
        return self._lay_out(asked, self._looks[shown])

    def _lay_out(self, asked: PlannedRequest, look: EncodedMedia) -> _Prepared:
        question = self.questions[asked.key]
        conversation = _with_media(insert_subtitles(question.messages, look.media), look.media)
        return _Prepared(asked, question, conversation, self.model.prompt(conversation, look.visual), look)

    def _look(self, sight: VisualInput, limit: int | None = None) -> EncodedMedia:
        return self.scene.look(sight, self._images(self.questions[self._sights[sight][0].key]), limit)

    def _ask_with_fewer(self, asked: PlannedRequest, limit: int) -> list[Generated]:
        return self._ask([self._lay_out(asked, self._look(visual_input_of(asked), limit))], NO_PREFIX)

    def _images(self, question: Request) -> list[Any]:
        """Return the images of a question, which all questions on its sight share, as upright RGB."""
        parts = media_parts(question.messages)
        sources = self.harness.media(question) if question.in_memory else [part[part["type"]] for part in parts]
        images = []
        for part, source in zip(parts, sources, strict=True):
            if part["type"] != "image":
                continue
            named = part["image"]
            if isinstance(named, ImageInMemory) and ImageInMemory.of(source) != named:
                raise SetupError(f"{question.task}: the task gives another image each time it is asked for a sample's")
            images.append(read_image(source))
        return images

    def _prefix_of(self, members: Sequence[PlannedRequest]) -> Prefix:
        """Return what the prompts of all questions on this sight begin with, read once while batches stay on it."""
        sight = visual_input_of(members[0])
        if any(visual_input_of(asked) != sight for asked in members):
            return NO_PREFIX
        if self._prefix is None or self._prefix[0] != sight:
            self._prefix = None  # the one before is not kept while the next is made
            ready = [one for asked in self._sights[sight] if isinstance(one := self._prepared(asked), _Prepared)]
            prompts = [one.prompt for one in ready]
            self._prefix = sight, read_prefix(self.model.model, prompts[0], common_length(prompts))
        return self._prefix[1]

    def _ask_on_prefix(self, ready: Sequence[_Prepared]) -> list[Generated]:
        return self._ask(ready, self._prefix_of([one.asked for one in ready]))

    def _ask(self, ready: Sequence[_Prepared], prefix: Prefix) -> list[Generated]:
        """Put questions of the same settings to the model."""
        first = ready[0].question
        prompts = [one.prompt for one in ready]
        if first.kind is RequestKind.SCORE:
            ids = [self._continuation(one.question) for one in ready]
            scores = score(self.model.model, prompts, ids, prefix)
            said = [
                Generated(one.question, self._reply(one, []), found) for one, found in zip(ready, scores, strict=True)
            ]
        else:
            config = self.model.generation(**first.generation.for_model())
            if first.generation.do_sample:
                # By the question, not by what this process answered before.
                torch.manual_seed(int(ready[0].asked.key[:15], 16))
            replies = generate(self.model.model, prompts, config, prefix)
            said = [Generated(one.question, self._reply(one, ids)) for one, ids in zip(ready, replies, strict=True)]
        if first.kind is RequestKind.ROUNDS:
            said = [self._converse(one) for one in said]
        return [one._replace(degraded=source.look.degraded) for one, source in zip(said, ready, strict=True)]

    def _reply(self, ready: _Prepared, ids: list[int]) -> Reply:
        return self.model.reply(ready.conversation, ready.prompt, ids)

    def _continuation(self, question: Request) -> list[int]:
        # lmms-eval puts a space before it, as behind running text; here it begins the assistant's turn.
        text = question.continuation.lstrip()
        ids = self.model.processor.tokenizer(text, add_special_tokens=False).input_ids
        if not ids:
            raise SetupError(f"{question.task}: the continuation {question.continuation!r} has no tokens to score")
        return list(ids)

    def _converse(self, said: Generated) -> Generated:
        """Let the task lead the conversation on from the first reply."""
        question, reply, state = said.question, said.reply, None
        assert reply is not None, "there is a first reply"
        rounds = [question.generation.cut(reply.text)]
        while (following := self.harness.next_round(question, rounds, state)) is not None:
            messages, state = following
            read = self.model.read_media(messages, question.rule)
            conversation, visual = self.model.see(read, question.cube_rule)
            prompt = self.model.prompt(conversation, visual)
            config = self.model.generation(**question.generation.for_model())
            reply = self.model.answer(conversation, prompt, config)
            rounds.append(question.generation.cut(reply.text))
        return said._replace(reply=replace(reply, text=rounds[-1]), rounds=tuple(rounds))


def _same_asked(ready: Sequence[_Prepared]) -> Hashable:
    """Return what two batches share of which the second need not be put to the model."""
    wanted = [(one.question.generation, one.question.kind, one.question.continuation) for one in ready]
    return id(ready[0].look), tuple(wanted), tuple(str(one.question.messages) for one in ready)


def _with_media(messages: list[dict[str, Any]], media: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the messages with these media in the places of theirs."""
    following = iter(media)

    def filled(part: dict[str, Any]) -> dict[str, Any]:
        return part if part["type"] == "text" else {"type": part["type"], part["type"]: next(following)}

    return [message | {"content": [filled(part) for part in message["content"]]} for message in messages]
