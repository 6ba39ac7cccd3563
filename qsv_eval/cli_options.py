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


Pretrained = Annotated[str, typer.Option(help="Checkpoint: a folder, a hub id or a PEFT adapter.")]
Revision = Annotated[
    str | None, typer.Option(help="Branch, tag or commit of a hub id; its default branch if not given.")
]
Subfolder = Annotated[str, typer.Option(help="Folder within the checkpoint; its root if empty.")]
MaxFrames = Annotated[int, typer.Option(min=1, help="Largest number of frames of a video.")]
Fps = Annotated[float, typer.Option(help="Frames per second of video, before --max-frames thins them.")]
Rule = Annotated[
    FrameRuleName,
    typer.Option(
        help="Instants to read. reference: the middle of each part of a second; blocks: the middle of every 1/fps; "
        "nested: as reference, with smaller frame sets as subsets of larger ones."
    ),
]
ResizeBy = Annotated[
    Resize,
    typer.Option(help="Resizing of frames. exact: Pillow's, as in the reference; fast: FFmpeg's, in less time."),
]
Cubing = Annotated[
    str | None, typer.Option(help="Rule that cuts cubes: learned, equal or difference; the checkpoint's if not given.")
]
FramesPerCube = Annotated[
    float | None, typer.Option(help="Mean number of frames of a cube; the checkpoint's if not given.")
]
MaxCubes = Annotated[
    int | None, typer.Option(min=1, help="Largest number of cubes of a video; the checkpoint's if not given.")
]
Dtype = Annotated[str, typer.Option(help="Type of the weights: auto, float32, bfloat16 or float16.")]
Attention = Annotated[
    str | None, typer.Option(help="Attention: flash_attention_2, sdpa or eager; the fastest available if not given.")
]
Device = Annotated[
    str | None, typer.Option(help="Device: cpu, cuda, cuda:1, …; the accelerator, else the CPU, if not given.")
]
BatchSize = Annotated[int, typer.Option(min=1, help="Number of questions on one video that are answered in one batch.")]
Processes = Annotated[
    str | None,
    typer.Option(help="Number of processes on this machine, or auto for one per GPU; this process alone if not given."),
]
GpusPerProcess = Annotated[
    int,
    typer.Option(
        min=1,
        max=2,
        help="Number of GPUs of a process; 2 puts the vision tower on one and the language model on the other.",
    ),
]
DeviceMap = Annotated[
    str | None, typer.Option(help="Device map of transformers, such as auto; one device if not given.")
]
LoadIn4Bit = Annotated[bool, typer.Option(help="Quantise the language model to 4 bits (bitsandbytes).")]
LoadIn8Bit = Annotated[bool, typer.Option(help="Quantise the language model to 8 bits (bitsandbytes).")]
ChunkFrames = Annotated[
    int | None,
    typer.Option(min=1, help="Number of frames in the vision tower at once; 16, or 4 on a CPU, if not given."),
]
Readers = Annotated[
    int | None,
    typer.Option(
        min=0, help="Number of processes that read videos ahead, 0 for none; by the number of cores if not given."
    ),
]
ReadaheadGb = Annotated[float, typer.Option(help="Main memory for frames read ahead, in GB.")]
ReadLimit = Annotated[
    float, typer.Option(help="Time limit for reading one file, in seconds; its questions fail after it.")
]
CacheGb = Annotated[float, typer.Option(help="Device memory for keys and values of a batch, in GB.")]
FrameStore = Annotated[
    Path | None, typer.Option(help="Folder that keeps decoded frames for other runs; none are kept if not given.")
]
FrameStoreGb = Annotated[
    float, typer.Option(help="Size limit of the frame store, in GB; the least recently used entries are removed.")
]
AllowDegraded = Annotated[
    bool, typer.Option(help="Answer from fewer frames where memory runs out; such answers are marked.")
]
JudgeModel = Annotated[
    str | None,
    typer.Option(
        envvar="QSV_JUDGE_MODEL",
        help="Model name of the judge on its API server; open answers stay unscored if not given.",
    ),
]
JudgeUrl = Annotated[
    str | None,
    typer.Option(
        envvar="OPENAI_BASE_URL",
        help="Address of the judge's OpenAI-compatible server, ending in /v1; OpenAI's own if not given.",
    ),
]
JudgeBudget = Annotated[
    int | None,
    typer.Option(
        envvar="QSV_JUDGE_BUDGET", min=0, help="Largest number of tokens that judging may use; no limit if not given."
    ),
]
JudgePrice = Annotated[
    str | None,
    typer.Option(
        envvar="QSV_JUDGE_PRICE",
        help="US dollars for a million input and output tokens, as in 0.15,0.60; costs are not shown if not given.",
    ),
]
JudgeConcurrency = Annotated[
    int, typer.Option(envvar="QSV_JUDGE_CONCURRENCY", min=1, help="Number of simultaneous calls.")
]


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
