"""Parts that several commands share: options, exit codes, and the start of several processes."""

import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from qsv_eval.judge.settings import JudgeSettings

__all__ = [
    "EXIT_INCOMPLETE",
    "EXIT_SETUP",
    "AllowDegraded",
    "Attention",
    "BatchSize",
    "CacheGb",
    "ChunkFrames",
    "Cubing",
    "Device",
    "DeviceMap",
    "Dtype",
    "Fps",
    "FrameRuleName",
    "FrameStore",
    "FrameStoreGb",
    "FramesPerCube",
    "GpusPerProcess",
    "JudgeBudget",
    "JudgeConcurrency",
    "JudgeModel",
    "JudgePrice",
    "JudgeUrl",
    "LoadIn4Bit",
    "LoadIn8Bit",
    "MaxCubes",
    "MaxFrames",
    "Pretrained",
    "Processes",
    "ReadLimit",
    "ReadaheadGb",
    "Readers",
    "Resize",
    "ResizeBy",
    "Revision",
    "Rule",
    "Subfolder",
    "judge_settings",
    "launch",
    "model_options",
]

EXIT_SETUP = 2
EXIT_INCOMPLETE = 3


class FrameRuleName(StrEnum):
    """Names of the frame rules."""

    REFERENCE = "reference"
    BLOCKS = "blocks"
    NESTED = "nested"


class Resize(StrEnum):
    """Ways to bring frames to the model's size."""

    EXACT = "exact"
    FAST = "fast"


Pretrained = Annotated[str, typer.Option(help="Checkpoint folder, hub id or PEFT adapter.")]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub id.")]
Subfolder = Annotated[str, typer.Option(help="Folder within the checkpoint.")]
MaxFrames = Annotated[int, typer.Option(min=1, help="Frames of a video at the most.")]
Fps = Annotated[float, typer.Option(help="Frames for each second, before --max-frames thins them.")]
Rule = Annotated[
    FrameRuleName,
    typer.Option(help="The middle of every second, or of every 1/fps; nested thins so that few are among many."),
]
ResizeBy = Annotated[Resize, typer.Option(help="exact is the reference's; fast decodes sooner.")]
Cubing = Annotated[str | None, typer.Option(help="learned, equal or difference; as the checkpoint says by default.")]
FramesPerCube = Annotated[float | None, typer.Option(help="Frames of a cube on average; likewise.")]
MaxCubes = Annotated[int | None, typer.Option(min=1, help="Cubes of a video at the most; likewise.")]
Dtype = Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")]
Attention = Annotated[str | None, typer.Option(help="flash_attention_2, sdpa or eager; the best there is by default.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 …; the accelerator if there is one.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Questions answered at once.")]
Processes = Annotated[
    str | None, typer.Option(help="Processes on this machine: a number, or auto for one for each GPU.")
]
GpusPerProcess = Annotated[
    int, typer.Option(min=1, max=2, help="2 puts the vision tower on one GPU, the language model on another.")
]
DeviceMap = Annotated[str | None, typer.Option(help="As transformers has it, for example auto.")]
LoadIn4Bit = Annotated[bool, typer.Option(help="Quantise the language model (CUDA, bitsandbytes).")]
LoadIn8Bit = Annotated[bool, typer.Option(help="Likewise.")]
ChunkFrames = Annotated[int | None, typer.Option(min=1, help="Frames in the vision tower at once.")]
Readers = Annotated[int | None, typer.Option(min=0, help="Processes that read videos ahead; 0 for none.")]
ReadaheadGb = Annotated[float, typer.Option(help="Main memory for frames read ahead.")]
ReadLimit = Annotated[float, typer.Option(help="A reader that takes longer for a file is ended.")]
CacheGb = Annotated[float, typer.Option(help="Memory for keys and values of a batch.")]
FrameStore = Annotated[Path | None, typer.Option(help="Folder that keeps frames for other runs.")]
FrameStoreGb = Annotated[float, typer.Option(help="What it may hold.")]
AllowDegraded = Annotated[bool, typer.Option(help="Fewer frames where memory runs out, and marked.")]
JudgeModel = Annotated[
    str | None, typer.Option(envvar="QSV_JUDGE_MODEL", help="Judge of open answers, as its server knows it.")
]
JudgeUrl = Annotated[
    str | None, typer.Option(envvar="OPENAI_BASE_URL", help="Its OpenAI-compatible server, ending in /v1.")
]
JudgeBudget = Annotated[
    int | None, typer.Option(envvar="QSV_JUDGE_BUDGET", min=0, help="Tokens that it may cost at the most.")
]
JudgePrice = Annotated[
    str | None,
    typer.Option(envvar="QSV_JUDGE_PRICE", help="Dollars for a million tokens in and out, as in 0.15,0.60."),
]
JudgeConcurrency = Annotated[int, typer.Option(envvar="QSV_JUDGE_CONCURRENCY", min=1, help="Calls at once.")]


def model_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of the model (`ModelArgs`) among what was given on the command line."""
    from qsv_eval.model_adapters.model_args import ModelArgs

    known = {name: value for name, value in given.items() if name in ModelArgs.model_fields}
    return {name: str(value) if isinstance(value, StrEnum) else value for name, value in known.items()}


def judge_settings(
    model: str | None, url: str | None, budget: int | None, price: str | None, concurrency: int = 16
) -> "JudgeSettings | None":
    """Return the judge that was named, None where none was; SetupError where an option is wrong."""
    if model is None:
        return None
    from qsv_eval.judge.settings import JudgeSettings

    return JudgeSettings.from_environment(
        model=model,
        url=url,
        budget_tokens=budget,
        price=None if price is None else tuple(price.split(",")),
        concurrency=concurrency,
    )


def launch(processes: str | None, gpus_per_process: int, device: str | None, output: Path) -> None:
    """Run this command line in several processes and exit as they do; return where one, this one, is enough."""
    if processes is None:
        return
    from qsv_eval.launching.launcher import accelerators_here, process_layout, supervise

    chosen = process_layout(processes, gpus_per_process, device, 0 if device == "cpu" else accelerators_here())
    if chosen.processes > 1:
        code, lines = supervise(sys.argv[1:], output, chosen)
        for line in lines:
            typer.echo(line, err=True)
        raise typer.Exit(code)
