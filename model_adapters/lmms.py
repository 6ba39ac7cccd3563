"""The lmms-eval adapter: `lmms-eval --model quicksviewer --model_args pretrained=DIR,max_frames=420,fps=1 …`.

The classes only translate: `model_args` checks the options, `lmms_requests` turns lmms-eval's requests into plain data,
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
from qsv_eval.model_adapters.engine.journal import Journal
from qsv_eval.model_adapters.engine.metrics import AnswerCost, summarise_costs, summarise_efficiency
from qsv_eval.model_adapters.engine.records import AnswerStatus, ExitReason
from qsv_eval.model_adapters.engine.request import RequestKind
from qsv_eval.model_adapters.files import cache_folder
from qsv_eval.model_adapters.lmms_requests import RequestTranslator
from qsv_eval.model_adapters.model_args import ModelArgs
from qsv_eval.model_adapters.quicksviewer import Quicksviewer, load_pretrained, resolve_device
from qsv_eval.model_adapters.quicksviewer.device import split_map

__all__ = ["QuicksviewerChat", "QuicksviewerSimple"]


class _Quicksviewer(lmms):
    """Base of the two adapters. The options are those of `ModelArgs`."""

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
        self._marked: dict[tuple[str, str, Any, int, str], Answer] = {}
        self._costs: dict[str, list[AnswerCost]] = {}
        self._efficiency = summarise_efficiency([])

    @property
    def device(self) -> torch.device:
        """The device of the model, on which lmms-eval gathers results."""
        return self._device

    @property
    def batch_size(self) -> int:
        """The limit on the requests of a batch."""
        return self.batch_size_per_gpu

    def generate_until(self, requests: list[Instance]) -> list[GenerationResult]:
        """Return the replies to lmms-eval's requests in order; a failed request has the reply `ERROR_REPLY`."""
        return [
            GenerationResult(ERROR_REPLY)
            if _failed(answer)
            else GenerationResult(answer.text, TokenCounts(answer.prompt_tokens, answer.new_tokens))
            for answer in self._answer(requests, RequestKind.GENERATE)
        ]

    def generate_until_multi_round(self, requests: list[Instance]) -> list[list[str]]:
        """Return the replies of each conversation; a failed conversation has the one reply `ERROR_REPLY`."""
        answers = self._answer(requests, RequestKind.ROUNDS)
        return [[ERROR_REPLY] if _failed(answer) else answer.rounds for answer in answers]

    def loglikelihood(self, requests: list[Instance]) -> list[GenerationResult]:
        """Score continuations; the "text" of a result is the pair (loss, whether it is the model's greedy reply).

        The loss is the mean negative log-likelihood in nats per token, since lmms-eval's tasks choose the smallest; it
        is infinite for a failed request. A bare pair would reach the task as a string (lmms-eval 0.7.3).
        """
        pairs = [
            (float("inf") if answer.loss is None else answer.loss, bool(answer.is_greedy))
            for answer in self._answer(requests, RequestKind.SCORE)
        ]
        return [GenerationResult(pair) for pair in pairs]

    def _answer(self, instances: list[Instance], kind: RequestKind) -> list[Answer]:
        requests, indices = self.requests.translate(instances, kind)
        answers = self.engine.answer(requests, self.requests.tasks)
        marked, costs = {}, []
        for request, answer in zip(requests, answers, strict=True):
            if _failed(answer) or answer.degraded or answer.lost_frames:
                key = (request.task, request.split, request.doc_id, request.repeat, request.continuation)
                marked[key] = answer
            if not _failed(answer):
                costs.append((request.task, answer.cost))
        for rank_marked in distributed.all_gather(marked):
            self._marked |= rank_marked
        for rank_costs in distributed.all_gather(costs):
            for task, cost in rank_costs:
                self._costs.setdefault(task, []).append(cost)
        self._efficiency = summarise_efficiency(distributed.all_gather(self.engine.efficiency))
        return [answers[index] for index in indices]

    @property
    def sent_requests(self) -> int:
        """The number of requests sent to the model, in all processes; the journal had answers to the others."""
        return len(self.engine.sent_keys)

    def failures(self) -> dict[str, int]:
        """Return the number of failed requests of each task, over all processes."""
        return dict(Counter(task for (task, *_), answer in self._marked.items() if _failed(answer)))

    def degraded(self) -> dict[str, int]:
        """Return the number of answers of each task on fewer frames than requested, because memory ran out."""
        return dict(Counter(task for (task, *_), answer in self._marked.items() if answer.degraded))

    def usage(self) -> dict[str, Any]:
        """Return the cost of each task's answers, those of earlier runs included (`summarise_costs`)."""
        return {task: summarise_costs(costs) for task, costs in self._costs.items()}

    @property
    def damaged(self) -> int:
        """The number of answers on a video of which frames could not be decoded."""
        return sum(answer.lost_frames for answer in self._marked.values())

    def efficiency(self) -> dict[str, Any]:
        """Return the efficiency of this run over all processes (`summarise_efficiency`)."""
        return self._efficiency

    def clean(self) -> None:
        """Close the journal and free the model before scoring, so that a local judge has the memory."""
        self.engine.journal.end(ExitReason.DONE)
        del self.engine.model
        super().clean()


class QuicksviewerChat(_Quicksviewer):
    """Adapter for tasks with chat messages, which lmms-eval builds for all its other tasks too."""

    is_simple = False


class QuicksviewerSimple(_Quicksviewer):
    """Adapter for lmms-eval's older form of tasks (`--force_simple`): a text, and a function for its media."""

    is_simple = True


def _failed(answer: Answer) -> bool:
    return answer.status is AnswerStatus.FAILED


def _load(args: ModelArgs) -> Quicksviewer:
    placement: dict[str, Any]
    if args.device_map is not None:
        placement = {"device_map": args.device_map}
    elif args.gpus_per_process > 1:
        placement = {"device_map": split_map(args.gpus_per_process)}
    else:
        placement = {"device": resolve_device(args.device)}
    return load_pretrained(
        args.pretrained,
        revision=args.revision,
        subfolder=args.subfolder,
        dtype=args.dtype,
        frame_rule=args.rule,
        resize=args.resize,
        chunk_frames=args.chunk_frames,
        attn_implementation=args.attn_implementation,
        bits=args.bits,
        **placement,
    )


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
