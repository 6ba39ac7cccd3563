"""Answer the requests of one work item batch by batch, after reading their common prefix once.

An error costs only the requests concerned, never the run: a failure is a result with a reason. A request that runs out
of memory is tried again alone, then (if allowed) with fewer frames, and only then fails.
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
    """Access to the tasks of the evaluation harness, for data that a request does not hold."""

    def media(self, request: Request) -> Sequence[Any]:
        """Return the media of the request's document in order; images in memory are taken from here."""
        ...

    def next_round(self, request: Request, replies: Sequence[str], state: Any) -> tuple[list[Any], Any] | None:
        """Return the next messages of a conversation and the task's state, or None at its end."""
        ...


class Generated(NamedTuple):
    """Result of one request: a reply, a score, or an error."""

    request: Request
    reply: Reply | None = None
    score: ContinuationScore | None = None
    rounds: tuple[str, ...] = ()
    degraded: bool = False
    error: Exception | None = None


class _Prepared(NamedTuple):
    """A request with its media and prompt."""

    planned: PlannedRequest
    request: Request
    conversation: list[dict[str, Any]]
    prompt: MergedPrompt
    encoded: EncodedMedia


@dataclass
class WorkItemRunner:
    """Runs the model on the batches of one work item."""

    model: Quicksviewer
    work_item: WorkItem
    requests: Mapping[str, Request]
    """All requests of the run by answer key."""
    harness: Harness
    encoder: MediaEncoder
    """Has encoded the files of the work item."""
    allow_degraded: bool = False

    def __post_init__(self) -> None:
        self._visual_inputs = self.work_item.visual_inputs
        self._encoded: dict[Hashable, EncodedMedia] = {}
        self._results: dict[Hashable, list[Generated]] = {}
        self._prepared: dict[str, _Prepared | Exception] = {}
        self._prefix: tuple[VisualInput, Prefix] | None = None

    def prepare(self, batch: Batch) -> None:
        """Encode the media of the batch and read the prefix of its prompts, unless that is done already."""
        prepared = self._prepare_all(batch)
        if prepared and _content_key(prepared) not in self._results:
            # If there is no memory for a prefix, the requests are tried without one.
            oom.catch_sample_error(self._shared_prefix, batch)

    def answer(self, batch: Batch) -> dict[str, Generated]:
        """Answer a prepared batch and return the results by answer key."""
        results: dict[str, Generated] = {}
        for planned in batch:
            if isinstance(error := self._prepare(planned), Exception):
                results[planned.key] = Generated(self.requests[planned.key], error=error)
        if prepared := self._prepare_all(batch):
            generated = self._earlier_results(prepared) or self._answer_batch(prepared)
            results |= {each.planned.key: result for each, result in zip(prepared, generated, strict=True)}
        return results

    def _earlier_results(self, prepared: Sequence[_Prepared]) -> list[Generated] | None:
        """Return the results of an equal batch, if there was one, as variants of a sweep are on a short video."""
        earlier = self._results.get(_content_key(prepared))
        if earlier is None:
            return None
        return [result._replace(request=each.request) for result, each in zip(earlier, prepared, strict=True)]

    def _answer_batch(self, prepared: Sequence[_Prepared]) -> list[Generated]:
        results = oom.catch_sample_error(self._generate_after_prefix, prepared)
        if isinstance(results, Exception):
            return [self._retry_alone(each, len(prepared), results) for each in prepared]
        first = prepared[0].request
        if first.kind is not RequestKind.ROUNDS and not first.generation.do_sample:
            self._results[_content_key(prepared)] = results
        return results

    def _retry_alone(self, prepared: _Prepared, batch_size: int, error: Exception) -> Generated:
        """Try a request again alone after its batch failed; one that was alone already, only after out of memory."""
        if batch_size == 1 and not oom.is_out_of_memory(error):
            return Generated(prepared.request, error=error)
        self._prefix = None
        oom.free_memory()
        results = oom.catch_sample_error(self._generate, [prepared], NO_PREFIX)
        for count in oom.smaller_frame_counts(prepared.encoded.frames) if self.allow_degraded else []:
            if not oom.is_out_of_memory(results):
                break
            oom.free_memory()
            results = oom.catch_sample_error(self._generate_degraded, prepared.planned, count)
        return Generated(prepared.request, error=results) if isinstance(results, Exception) else results[0]

    def _prepare_all(self, batch: Sequence[PlannedRequest]) -> list[_Prepared]:
        """Return the requests that could be prepared."""
        return [each for planned in batch if isinstance(each := self._prepare(planned), _Prepared)]

    def _prepare(self, planned: PlannedRequest) -> _Prepared | Exception:
        """Return the prepared request, or the error of preparing it; the result is kept."""
        if planned.key not in self._prepared:
            self._prepared[planned.key] = oom.catch_sample_error(self._encode_and_build_prompt, planned)
        return self._prepared[planned.key]

    def _encode_and_build_prompt(self, planned: PlannedRequest) -> _Prepared:
        visual_input = visual_input_of(planned)
        key = self.encoder.content_key(visual_input)
        if key not in self._encoded:
            self._encoded[key] = self._encode(visual_input)
        return self._build_prompt(planned, self._encoded[key])

    def _build_prompt(self, planned: PlannedRequest, encoded: EncodedMedia) -> _Prepared:
        request = self.requests[planned.key]
        conversation = _with_media(insert_subtitles(request.messages, encoded.media), encoded.media)
        return _Prepared(planned, request, conversation, self.model.prompt(conversation, encoded.visual), encoded)

    def _encode(self, visual_input: VisualInput, max_frames: int | None = None) -> EncodedMedia:
        # The requests of a visual input have the same images.
        request = self.requests[self._visual_inputs[visual_input][0].key]
        return self.encoder.encode(visual_input, self._images(request), max_frames)

    def _images(self, request: Request) -> list[Any]:
        """Return the images of a request as upright RGB."""
        parts = media_parts(request.messages)
        sources = self.harness.media(request) if request.in_memory else [part[part["type"]] for part in parts]
        images = []
        for part, source in zip(parts, sources, strict=True):
            if part["type"] != "image":
                continue
            expected = part["image"]
            if isinstance(expected, ImageInMemory) and ImageInMemory.of(source) != expected:
                raise SetupError(
                    f"{request.task}: the task returned a different image for the same sample; its functions must "
                    "return the same media at every call"
                )
            images.append(read_image(source))
        return images

    def _shared_prefix(self, batch: Sequence[PlannedRequest]) -> Prefix:
        """Return the common prefix of all requests on the batch's visual input, kept until the visual input changes."""
        visual_input = visual_input_of(batch[0])
        if any(visual_input_of(planned) != visual_input for planned in batch):
            return NO_PREFIX
        if self._prefix is None or self._prefix[0] != visual_input:
            self._prefix = None  # free the memory of the last prefix first
            prompts = [each.prompt for each in self._prepare_all(self._visual_inputs[visual_input])]
            self._prefix = visual_input, read_prefix(self.model.model, prompts[0], common_length(prompts))
        return self._prefix[1]

    def _generate_after_prefix(self, prepared: Sequence[_Prepared]) -> list[Generated]:
        return self._generate(prepared, self._shared_prefix([each.planned for each in prepared]))

    def _generate_degraded(self, planned: PlannedRequest, max_frames: int) -> list[Generated]:
        encoded = self._encode(visual_input_of(planned), max_frames)
        return self._generate([self._build_prompt(planned, encoded)], NO_PREFIX)

    def _generate(self, prepared: Sequence[_Prepared], prefix: Prefix) -> list[Generated]:
        """Run the model on requests with the same settings."""
        first = prepared[0].request
        prompts = [each.prompt for each in prepared]
        scores: Sequence[ContinuationScore | None] = [None] * len(prepared)
        replies: list[list[int]] = [[] for _ in prepared]
        if first.kind is RequestKind.SCORE:
            continuations = [self._continuation(each.request) for each in prepared]
            scores = score(self.model.model, prompts, continuations, prefix)
        else:
            config = self.model.generation(**first.generation.for_model())
            if first.generation.do_sample:
                # The seed depends on the request, not on what this process answered before.
                torch.manual_seed(int(prepared[0].planned.key[:15], 16))
            replies = generate(self.model.model, prompts, config, prefix)
        results = []
        for each, token_ids, continuation_score in zip(prepared, replies, scores, strict=True):
            reply = self.model.reply(each.conversation, each.prompt, token_ids)
            result = Generated(each.request, reply, continuation_score, degraded=each.encoded.degraded)
            results.append(self._converse(result) if first.kind is RequestKind.ROUNDS else result)
        return results

    def _continuation(self, request: Request) -> list[int]:
        # lmms-eval puts a space before it, as after running text; here it begins the assistant's turn.
        text = request.continuation.lstrip()
        ids = self.model.processor.tokenizer(text, add_special_tokens=False).input_ids
        if not ids:
            raise SetupError(f"{request.task}: the continuation {request.continuation!r} has no tokens to score")
        return list(ids)

    def _converse(self, first: Generated) -> Generated:
        """Continue a conversation with the task's next messages until the task ends it."""
        request, reply, state = first.request, first.reply, None
        assert reply is not None, "a conversation begins with a reply"
        rounds = [request.generation.cut(reply.text)]
        while (following := self.harness.next_round(request, rounds, state)) is not None:
            messages, state = following
            media = self.model.read_media(messages, request.rule)
            conversation, visual = self.model.see(media, request.cube_rule)
            prompt = self.model.prompt(conversation, visual)
            config = self.model.generation(**request.generation.for_model())
            reply = self.model.answer(conversation, prompt, config)
            rounds.append(request.generation.cut(reply.text))
        return first._replace(reply=replace(reply, text=rounds[-1]), rounds=tuple(rounds))


def _content_key(prepared: Sequence[_Prepared]) -> Hashable:
    """Return a key that is equal for batches with the same media, messages and settings."""
    settings = tuple((each.request.generation, each.request.kind, each.request.continuation) for each in prepared)
    return id(prepared[0].encoded), settings, tuple(str(each.request.messages) for each in prepared)


def _with_media(messages: list[dict[str, Any]], media: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the messages with these media in place of their own, in order."""
    remaining = iter(media)

    def with_media(part: dict[str, Any]) -> dict[str, Any]:
        return part if part["type"] == "text" else {"type": part["type"], part["type"]: next(remaining)}

    return [message | {"content": [with_media(part) for part in message["content"]]} for message in messages]
