"""Quicksviewer for lmms-eval: `lmms-eval --model quicksviewer --model_args pretrained=DIR,max_frames=420,fps=1 …`.

The classes only translate: `modelargs` says what may be asked for, `requests` turns what is asked into plain questions,
and the engine answers them and keeps every answer.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import torch
from lmms_eval.api.instance import GenerationResult, Instance, TokenCounts
from lmms_eval.api.model import lmms

from qsv_eval.model_adapters.engine import distributed, run_context
from qsv_eval.model_adapters.engine.cache_key import REPLY_VERSION, AnswerSettings, checkpoint_fingerprint
from qsv_eval.model_adapters.engine.engine import Answer, Engine
from qsv_eval.model_adapters.engine.failure import ERROR_REPLY
from qsv_eval.model_adapters.engine.journal import AnswerStatus, ExitReason, Journal
from qsv_eval.model_adapters.engine.metrics import AnswerCost, summarise_costs, summarise_efficiency
from qsv_eval.model_adapters.engine.request import RequestKind
from qsv_eval.model_adapters.files import cache_folder
from qsv_eval.model_adapters.lmms_requests import RequestTranslator
from qsv_eval.model_adapters.model_args import ModelArgs
from qsv_eval.model_adapters.quicksviewer import Quicksviewer, load_pretrained, resolve_device
from qsv_eval.model_adapters.quicksviewer.device import split_map

__all__ = ["QuicksviewerChat", "QuicksviewerSimple"]


class _Quicksviewer(lmms):
    """What the two adapters share. The options are those of `ModelArgs`."""

    def __init__(self, pretrained: str | Path = "", **options: Any) -> None:
        super().__init__()
        args = ModelArgs.parse({"pretrained": pretrained} | options)
        self._rank, self._world_size = distributed.rank(), distributed.world_size()
        model = _load(args)
        self._device = model.model.device
        cube_rule = args.cube_rule(model.model.config.cube_rule)
        distributed.join(on_cpu=self._device.type == "cpu")
        dtype = str(model.model.dtype).removeprefix("torch.")
        self.settings = AnswerSettings(
            checkpoint=checkpoint_fingerprint(args.pretrained, args.revision, args.subfolder),
            model_code=REPLY_VERSION,
            dtype=f"{dtype}, language model in {args.bits} bits" if args.bits else dtype,
            frame_rule=args.rule,
            cube_rule=cube_rule,
            reader="pyav",
            resize=args.resize,
        )
        attention = model.model.config.text_config._attn_implementation
        run_context.begin_run(self.settings, {"device": _device_name(self._device), "attention": str(attention)})
        self.requests = RequestTranslator(self.task_dict, self.is_simple, args.rule, cube_rule)
        self.engine = Engine(
            model=model,
            journal=Journal(args.journal or cache_folder("journal"), accept_degraded=args.allow_degraded),
            settings=self.settings,
            harness=self.requests,
            options=args.engine_options(model.processor.video_processor.frame_size, show_progress=self._rank == 0),
        )
        self.batch_size_per_gpu = args.batch_size
        self._notable: dict[tuple[str, str, Any, int, Any], Answer] = {}
        self._uses: dict[str, list[AnswerCost]] = {}
        self._efficiency = summarise_efficiency([])

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
        return [
            GenerationResult(answer.text, TokenCounts(answer.prompt_tokens, answer.new_tokens))
            if answer.fate is AnswerStatus.ANSWERED
            else GenerationResult(ERROR_REPLY)
            for answer in self._answer(requests, RequestKind.GENERATE)
        ]

    def generate_until_multi_round(self, requests: list[Instance]) -> list[list[str]]:
        """Lead the conversations of the requests; each gives its replies, a failed one the reserved reply."""
        answers = self._answer(requests, RequestKind.ROUNDS)
        return [answer.rounds if answer.fate is AnswerStatus.ANSWERED else [ERROR_REPLY] for answer in answers]

    def loglikelihood(self, requests: list[Instance]) -> list[GenerationResult]:
        """Score continuations; the result's "text" is the pair (loss, whether the model itself would have said it).

        The loss is the mean negative log-likelihood of a token in nats: lmms-eval's tasks take the smallest for the
        best. One that failed is infinitely bad. A bare pair would reach the task as a string (lmms-eval 0.7.3).
        """
        pairs = [
            (float("inf") if answer.loss is None else answer.loss, bool(answer.is_greedy))
            for answer in self._answer(requests, RequestKind.SCORE)
        ]
        return [GenerationResult(pair) for pair in pairs]

    def _answer(self, requests: list[Instance], kind: RequestKind) -> list[Answer]:
        questions, places = self.requests.translate(requests, kind)
        answers = self.engine.answer(questions, self.requests.tasks)
        whose = [(one.task, one.split, one.doc_id, one.repeat, one.continuation) for one in questions]
        mine = {place: one for place, one in zip(whose, answers, strict=True) if _is_notable(one)}
        for each in distributed.all_gather(mine):
            self._notable |= each
        used = [(one.task, answer.use) for one, answer in zip(questions, answers, strict=True) if not _failed(answer)]
        for task, use in [one for each in distributed.all_gather(used) for one in each]:
            self._uses.setdefault(task, []).append(use)
        self._efficiency = summarise_efficiency(distributed.all_gather(self.engine.efficiency))
        return [answers[place] for place in places]

    @property
    def asked(self) -> int:
        """Questions that were put to the model, in all processes; the others' answers were known."""
        return len(self.engine.asked)

    def failures(self) -> dict[str, int]:
        """Return how many questions of each task have no answer, over all processes."""
        return dict(Counter(task for (task, *_), one in self._notable.items() if _failed(one)))

    def degraded(self) -> dict[str, int]:
        """Return how many answers of each task rest on fewer frames than asked for, because memory ran out."""
        return dict(Counter(task for (task, *_), one in self._notable.items() if one.degraded))

    def usage(self) -> dict[str, Any]:
        """Return what the answers of each task took, known ones included; see `engine.usage.summarise_use`."""
        return {task: summarise_costs(uses) for task, uses in self._uses.items()}

    @property
    def damaged(self) -> int:
        """Answers that rest on a video of which frames were lost."""
        return sum(answer.lost_frames for answer in self._notable.values())

    def efficiency(self) -> dict[str, Any]:
        """Return what this run cost, over all processes; see `engine.efficiency.summarise`."""
        return self._efficiency

    def clean(self) -> None:
        """Let go of the model before scoring, so that a judge finds the memory free."""
        self.engine.journal.end(ExitReason.DONE)
        del self.engine.model
        super().clean()


class QuicksviewerChat(_Quicksviewer):
    """Answers tasks that send chat messages; lmms-eval builds such messages for all its other tasks too."""

    is_simple = False


class QuicksviewerSimple(_Quicksviewer):
    """Answers tasks in lmms-eval's older form (`--force_simple`): a text, and a function that gives its media."""

    is_simple = True


def _is_notable(answer: Answer) -> bool:
    """Say whether a report has to count it apart."""
    return _failed(answer) or answer.degraded or answer.lost_frames


def _failed(answer: Answer) -> bool:
    return answer.fate is AnswerStatus.FAILED


def _load(args: ModelArgs) -> Quicksviewer:
    options: dict[str, Any] = {"revision": args.revision, "subfolder": args.subfolder}
    device = None
    if args.device_map is not None:
        options["device_map"] = args.device_map
    elif args.gpus_per_process > 1:
        options["device_map"] = split_map(args.gpus_per_process)
    else:
        device = resolve_device(args.device)
    return load_pretrained(
        args.pretrained,
        device=device,
        dtype=args.dtype,
        frame_rule=args.rule,
        resize=args.resize,
        chunk_frames=args.chunk_frames,
        attn_implementation=args.attn_implementation,
        bits=args.bits,
        **options,
    )


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
