"""The verb `sweep` of the command line."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qsv_eval.cli_options import (
    EXIT_INCOMPLETE,
    AllowDegraded,
    Attention,
    BatchSize,
    CacheGb,
    ChunkFrames,
    Device,
    DeviceMap,
    Dtype,
    FrameStore,
    FrameStoreGb,
    GpusPerProcess,
    JudgeBudget,
    JudgeModel,
    JudgePrice,
    JudgeUrl,
    LoadIn4Bit,
    LoadIn8Bit,
    Processes,
    ReadaheadGb,
    Readers,
    ReadLimit,
    Resize,
    ResizeBy,
    Revision,
    Subfolder,
    judge_settings,
    launch,
    model_options,
)

if TYPE_CHECKING:
    from qsv_eval.judge.settings import JudgeSettings
    from qsv_eval.sweep.grid import Grid

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog="Example: qsv-eval sweep --tasks videomme --pretrained CHECKPOINT --frames 8,64,420 --fps 1,2")(
        sweep
    )


def sweep(
    tasks: Annotated[str, typer.Option(help="Task names. Lists of this command are separated by commas.")] = "",
    pretrained: Annotated[str, typer.Option(help="Checkpoints: folders, hub ids or PEFT adapters.")] = "",
    frames: Annotated[
        str, typer.Option(help="Largest numbers of frames of a video, as in 8,16,32,64,128,256,420.")
    ] = "",
    fps: Annotated[str, typer.Option(help="Frames per second of video, as in 1,2.")] = "",
    frame_rule: Annotated[str, typer.Option(help="Frame rules: reference, blocks or nested.")] = "",
    cubing: Annotated[str, typer.Option(help="Rules that cut cubes: learned, equal or difference.")] = "",
    frames_per_cube: Annotated[str, typer.Option(help="Mean numbers of frames of a cube, as in 2.5,5,10.")] = "",
    max_cubes: Annotated[str, typer.Option(help="Largest numbers of cubes of a video, as in 16,32.")] = "",
    grid: Annotated[
        Path | None,
        typer.Option(help="YAML file with these lists, which options replace; the options alone if not given."),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for results and journals; the same folder resumes.")] = Path(
        "qsv_runs/sweep"
    ),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the cells with their forecast of time and memory; nothing is run.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Largest number of questions of each task; all if not given.")
    ] = None,
    resize: ResizeBy = Resize.EXACT,
    dtype: Dtype = "auto",
    attn_implementation: Attention = None,
    device: Device = None,
    batch_size: BatchSize = 1,
    revision: Revision = None,
    subfolder: Subfolder = "",
    chunk_frames: ChunkFrames = None,
    processes: Processes = None,
    gpus_per_process: GpusPerProcess = 1,
    device_map: DeviceMap = None,
    load_in_4bit: LoadIn4Bit = False,
    load_in_8bit: LoadIn8Bit = False,
    readers: Readers = None,
    readahead_gb: ReadaheadGb = 2.0,
    read_limit_s: ReadLimit = 600.0,
    cache_gb: CacheGb = 8.0,
    frame_store: FrameStore = None,
    frame_store_gb: FrameStoreGb = 100.0,
    allow_degraded: AllowDegraded = False,
    judge_model: JudgeModel = None,
    judge_url: JudgeUrl = None,
    judge_budget: JudgeBudget = None,
    judge_price: JudgePrice = None,
) -> None:
    """Evaluate a grid of settings in one run: every video is read once, and seen once for all cells of a checkpoint."""
    given_options = model_options(locals())
    from qsv_eval.launching.signals import stop_on_signals
    from qsv_eval.sweep.grid import AXES, Grid

    axes = {"tasks": tasks, "checkpoints": pretrained, "frames": frames, "fps": fps, "frame_rule": frame_rule}
    axes |= {"cubing": cubing, "frames_per_cube": frames_per_cube, "max_cubes": max_cubes}
    given = {name: [value.strip() for value in values.split(",") if value.strip()] for name, values in axes.items()}
    chosen = Grid.of(given) if grid is None else Grid.read(grid, given)
    # The axes are in the tasks' own settings; the model's stay as they are by default.
    options = {name: value for name, value in given_options.items() if name not in {"pretrained", *AXES.values()}}
    if dry_run:
        from qsv_eval.sweep.forecast import forecast_sweep, print_forecast

        print_forecast(forecast_sweep(chosen, options, limit))
        return
    judge = judge_settings(judge_model, judge_url, judge_budget, judge_price)
    launch(processes, gpus_per_process, device, output)
    with stop_on_signals(output):
        _run(chosen, options, output, limit, judge)


def _run(
    grid: "Grid", options: Mapping[str, Any], output: Path, limit: int | None, judge: "JudgeSettings | None"
) -> None:
    from qsv_eval.sweep.run_sweep import print_cells
    from qsv_eval.sweep.run_sweep import sweep as run_sweep

    reports = run_sweep(grid, options, output, limit=limit, judge=judge, tell=print_cells)
    if reports:
        complete = all(report.complete for report in reports.values())
        raise typer.Exit(0 if complete else EXIT_INCOMPLETE)
