"""Quicksviewer for lmms-eval: `lmms-eval --model quicksviewer --model_args pretrained=DIR,max_frames=420,fps=1 …`.

The classes only translate. What is asked becomes plain `Question`s; the engine answers them and keeps every answer.
"""

import difflib
import inspect
import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lmms_eval.api.instance import GenerationResult, Instance, TokenCounts
from lmms_eval.api.model import lmms

from qsv_eval.model_adapters.engine import session
from qsv_eval.model_adapters.engine.answer_key import AnswerSettings, model_code_version
from qsv_eval.model_adapters.engine.answering import Answerer
from qsv_eval.model_adapters.engine.failure import ERROR_REPLY
from qsv_eval.model_adapters.engine.fingerprint import checkpoint_fingerprint
from qsv_eval.model_adapters.engine.journal import Fate, Journal, Record
from qsv_eval.model_adapters.engine.question import Generation, Question, messages_from_lmms, messages_from_visuals
from qsv_eval.model_adapters.errors import QsvError, SetupError
from qsv_eval.model_adapters.frames import FrameRule
from qsv_eval.model_adapters.paths import cache_folder
from qsv_eval.model_adapters.quicksviewer import load_pretrained, resolve_device

__all__ = ["QuicksviewerChat", "QuicksviewerSimple"]


class _Call(NamedTuple):
    """One request of lmms-eval, taken apart."""

    messages: Callable[[Mapping[str, Any]], list[dict[str, Any]]]
    """Builds our messages from the task's document."""
    generation: Mapping[str, Any]
    doc_id: int
    task: str
    split: str


class _Quicksviewer(lmms):
    """What the two adapters share.

    Args (of `--model_args`):
        pretrained: checkpoint folder, hub id or PEFT adapter.
        max_frames: frames of a video at the most.
        fps: frames for each second of video, before `max_frames` thins them.
        frame_rule: "reference" (the middle of every second) or "blocks" (the middle of every 1/fps).
        resize: "exact" or "fast".
        dtype: "auto", "float32", "bfloat16" or "float16".
        attn_implementation: "flash_attention_2", "sdpa" or "eager"; the best there is by default.
        revision, subfolder: of a hub id.
        chunk_frames: frames that go through the vision tower at once.
        journal: folder of the journal; by default one in the user's cache, shared by all runs.
        batch_size: questions that are answered at once.
    """

    def __init__(
        self,
        pretrained: str = "",
        max_frames: int = 420,
        fps: float = 1.0,
        frame_rule: str = "reference",
        resize: str = "exact",
        dtype: str = "auto",
        attn_implementation: str | None = None,
        revision: str | None = None,
        subfolder: str = "",
        chunk_frames: int | None = None,
        journal: str | Path | None = None,
        batch_size: int | str = 1,
        max_batch_size: int | None = None,
        device: str | None = None,
        **unknown: Any,
    ) -> None:
        super().__init__()
        _refuse_unknown(unknown)
        if not pretrained:
            raise SetupError("model_args: pretrained=FOLDER_OR_HUB_ID is missing")
        fps, max_frames = _number("fps", fps, float), _number("max_frames", max_frames, int)
        rule = FrameRule(fps=fps, max_frames=max_frames, name=frame_rule)  # type: ignore[arg-type]
        pretrained = str(Path(pretrained).expanduser())
        self._device = resolve_device(device)
        self.quicksviewer = load_pretrained(
            pretrained,
            device=self._device,
            dtype=dtype,
            frame_rule=rule,
            resize=resize,  # type: ignore[arg-type]  # checked there
            chunk_frames=None if chunk_frames is None else _number("chunk_frames", chunk_frames, int),
            attn_implementation=attn_implementation,
            revision=revision,
            subfolder=subfolder,
        )
        self.settings = AnswerSettings(
            checkpoint=checkpoint_fingerprint(pretrained, revision, subfolder),
            model_code=model_code_version(),
            dtype=str(self.quicksviewer.model.dtype).removeprefix("torch."),
            frame_rule=rule,
            reader="pyav",
            resize=resize,
        )
        attention = self.quicksviewer.model.config.text_config._attn_implementation
        session.begin(self.settings, {"device": _device_name(self._device), "attention": str(attention)})
        self.journal = Journal(journal or cache_folder("journal"))
        self.batch_size_per_gpu = _batch_size(batch_size)
        self._asked: set[str] = set()
        self._failed: set[tuple[str, Any, int]] = set()
        self.damaged = 0
        """Answers that rest on a video of which frames were lost."""
        self._rank, self._world_size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))

    @property
    def device(self) -> torch.device:
        """Where the model is; lmms-eval gathers on it."""
        return self._device

    @property
    def batch_size(self) -> int:
        """Questions that are answered at once."""
        return self.batch_size_per_gpu

    def generate_until(self, requests: list[Instance]) -> list[GenerationResult]:
        """Answer the requests of lmms-eval, in its order; a failed one has the reserved reply."""
        repeats: Counter[tuple[str, Any]] = Counter()
        questions = [self._question(request, repeats) for request in requests]
        answerer = Answerer(
            self.quicksviewer, self.journal, self.settings, self.batch_size_per_gpu, show_progress=self.rank == 0
        )
        records = answerer.answer(questions)
        failed = {(record.task, record.doc_id, record.repeat) for record in records if record.fate is Fate.FAILED}
        self._failed |= _all_of(failed)
        self._asked |= _all_of(answerer.asked)
        self.damaged += len(_all_of({record.key for record in records if any(v.lost_frames for v in record.videos)}))
        return [_result(record) for record in records]

    def failures(self) -> dict[str, int]:
        """Return how many questions of each task have no answer, over all processes."""
        return dict(Counter(task for task, _, _ in self._failed))

    @property
    def asked(self) -> int:
        """Questions that were put to the model, in all processes; the others' answers were known."""
        return len(self._asked)

    def _question(self, request: Instance, repeats: Counter[tuple[str, Any]]) -> Question:
        call = self._call(request)
        doc = self.task_dict[call.task][call.split][call.doc_id]
        repeat = repeats[call.task, call.doc_id]
        repeats[call.task, call.doc_id] += 1
        generation = Generation.from_lmms(call.generation)
        session.note_generation(call.task, generation)
        messages, fault = [], ""
        try:
            messages = call.messages(doc)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a task's code may do anything; the run goes on
            # Many of lmms-eval's tasks leave the process when a media file is missing. That is one sample's trouble.
            fault = str(error) if isinstance(error, SystemExit | QsvError) else f"{type(error).__name__}: {error}"
        return Question(
            task=call.task,
            doc_id=call.doc_id,
            split=call.split,
            repeat=repeat,
            sample_id=str(doc.get("question_id", call.doc_id)),
            messages=messages,
            generation=generation,
            fault=fault,
        )

    def _call(self, request: Instance) -> _Call:
        raise AssertionError("each adapter knows its own requests")

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """Refuse: these tasks come with the engine."""
        raise SetupError(_not_there(requests, "log-likelihoods"))

    def generate_until_multi_round(self, requests: list[Instance]) -> list[str]:
        """Refuse: these tasks come with the engine."""
        raise SetupError(_not_there(requests, "several rounds"))

    def clean(self) -> None:
        """Let go of the model before scoring, so that a judge finds the memory free."""
        self.journal.close()
        del self.quicksviewer
        super().clean()


class QuicksviewerChat(_Quicksviewer):
    """Answers tasks that send chat messages; lmms-eval builds such messages for all its other tasks too."""

    is_simple = False

    def _call(self, request: Instance) -> _Call:
        _, doc_to_messages, generation, doc_id, task, split = request.args
        return _Call(lambda doc: messages_from_lmms(doc_to_messages(doc)), generation, doc_id, task, split)


class QuicksviewerSimple(_Quicksviewer):
    """Answers tasks in lmms-eval's older form (`--force_simple`): a text, and a function that gives its media."""

    is_simple = True

    def _call(self, request: Instance) -> _Call:
        text, generation, doc_to_visual, doc_id, task, split = request.args
        return _Call(lambda doc: messages_from_visuals(doc_to_visual(doc), text), generation, doc_id, task, split)


def _result(record: Record) -> GenerationResult:
    if record.fate is Fate.FAILED:
        return GenerationResult(ERROR_REPLY)
    return GenerationResult(record.text, TokenCounts(record.prompt_tokens, record.new_tokens))


def _refuse_unknown(unknown: Mapping[str, Any]) -> None:
    known = [name for name in inspect.signature(_Quicksviewer.__init__).parameters if name not in {"self", "unknown"}]
    for name in unknown:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
        raise SetupError(f"model_args: there is no option {name!r}; {hint}")


def _batch_size(value: int | str) -> int:
    if not str(value).isdigit() or int(value) < 1:
        raise SetupError(f"batch_size {value!r}: give a whole number of questions, at least 1")
    return int(value)


def _number(name: str, value: Any, kind: type[int] | type[float]) -> Any:
    try:
        return kind(value)
    except (TypeError, ValueError) as error:
        raise SetupError(f"model_args: {name}={value!r} is not a number") from error


def _all_of(mine: set[Any]) -> set[Any]:
    """Return the union over all processes; each process calls this as often as lmms-eval asks it."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return mine
    gathered: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(gathered, mine)
    return set().union(*gathered)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _not_there(requests: list[Instance], what: str) -> str:
    task = requests[0].task_name
    return f"task {task} asks for {what}, which cannot be answered yet; choose a task with output_type generate_until"
