"""The command line: `qsv-eval COMMAND`. A command imports its packages when it is called, so that `--help` is quick.

Exit codes: 0 complete results, 1 a bug (with its traceback), 2 something in the set-up must be put right (one line),
3 the results are incomplete.
"""

import sys
from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from qsv_eval import cli_leaderboard, cli_scoring, cli_sweep
from qsv_eval.cli_options import (
    EXIT_INCOMPLETE,
    EXIT_SETUP,
    AllowDegraded,
    Attention,
    BatchSize,
    CacheGb,
    ChunkFrames,
    Cubing,
    Device,
    DeviceMap,
    Dtype,
    Fps,
    FrameRuleName,
    FramesPerCube,
    FrameStore,
    FrameStoreGb,
    GpusPerProcess,
    JudgeBudget,
    JudgeModel,
    JudgePrice,
    JudgeUrl,
    LoadIn4Bit,
    LoadIn8Bit,
    MaxCubes,
    MaxFrames,
    Pretrained,
    Processes,
    ReadaheadGb,
    Readers,
    ReadLimit,
    Resize,
    ResizeBy,
    Revision,
    Rule,
    Subfolder,
    judge_settings,
    launch,
    model_options,
)
from qsv_eval.launching.rank_status import is_supervised, note_end, note_start, wait_for_the_first_to_die
from qsv_eval.model_adapters.errors import QsvError

if TYPE_CHECKING:
    from qsv_eval.model_adapters.model_args import ModelArgs

__all__ = ["app", "main"]

_ORDER = (
    "demo",
    "run",
    "sweep",
    "score",
    "leaderboard",
    "compare",
    "status",
    "doctor",
    "data",
    "tasks",
    "ask",
    "train",
)
"""Commands as people meet them; the others follow."""


class _Commands(TyperGroup):
    """Command group that lists commands in the order of `_ORDER`."""

    def list_commands(self, ctx: Any) -> list[str]:
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"qsv-eval {version('qsv-eval')}")
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """Evaluate the Quicksviewer video LMM under lmms-eval, train it, and ask it about videos."""


cli_scoring.register(app)
cli_sweep.register(app)
cli_leaderboard.register(app)


@app.command(epilog="Example: qsv-eval demo --limit 20 --output demo_run")
def demo(
    limit: Annotated[int, typer.Option(min=1, help="Number of questions to ask, of 420.")] = 60,
    output: Annotated[Path, typer.Option(help="Folder for results and journal; the same folder resumes.")] = Path(
        "qsv_runs/demo"
    ),
    pretrained: Annotated[
        str | None, typer.Option(help="Checkpoint to evaluate; the built-in one if not given.")
    ] = None,
    device: Device = None,
    processes: Processes = None,
) -> None:
    """Run the built-in sample benchmark: clips drawn here, nothing downloaded."""
    from qsv_eval.demo import CHECKPOINT
    from qsv_eval.launching.signals import stop_on_signals
    from qsv_eval.run import run
    from qsv_eval.terminal_report import print_report

    # The built-in checkpoint is stored in float16, in which a CPU is slow.
    model = {"pretrained": str(CHECKPOINT), "dtype": "float32"} if pretrained is None else {"pretrained": pretrained}
    launch(processes, 1, device, output)
    with stop_on_signals(output):
        report = run(["qsv_demo"], _model_args({**model, "device": device}), output, limit=limit)
    if report is not None:
        print_report(report)
        raise typer.Exit(0 if report.complete else EXIT_INCOMPLETE)


@app.command(name="run", epilog="Example: qsv-eval run --tasks videomme --pretrained CHECKPOINT --output OUT")
def run_command(
    tasks: Annotated[str, typer.Option(help="Task names, separated by commas; `qsv-eval tasks` lists ours.")],
    pretrained: Pretrained,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for results and journal; the same folder resumes; below qsv_runs/ if not given."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Largest number of questions of each task; all if not given.")
    ] = None,
    max_frames: MaxFrames = 420,
    fps: Fps = 1.0,
    frame_rule: Rule = FrameRuleName.REFERENCE,
    cubing: Cubing = None,
    frames_per_cube: FramesPerCube = None,
    max_cubes: MaxCubes = None,
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
    """Evaluate a checkpoint under lmms-eval. A run that was stopped goes on when the command is given again."""
    model = _model_args(locals())
    from qsv_eval.launching.signals import stop_on_signals
    from qsv_eval.run import default_output, run
    from qsv_eval.terminal_report import print_report

    names = [name.strip() for name in tasks.split(",") if name.strip()]
    judge = judge_settings(judge_model, judge_url, judge_budget, judge_price)
    output = output or default_output(model)
    launch(processes, gpus_per_process, device, output)
    with stop_on_signals(output):
        report = run(names, model, output, limit=limit, judge=judge)
    if report is not None:
        print_report(report)
        raise typer.Exit(0 if report.complete else EXIT_INCOMPLETE)


@app.command(epilog="Example: qsv-eval status OUT")
def status(
    folder: Annotated[Path, typer.Argument(help="The --output folder of a run, or a journal folder.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with the names of all failed and missing questions.")
    ] = False,
    missing: Annotated[bool, typer.Option("--missing", help="Print the missing questions only, one a line.")] = False,
) -> None:
    """Say how far a run is, also while it goes on; exit with 0 if it is complete and with 3 if not."""
    import json
    from datetime import UTC, datetime

    from qsv_eval.status.progress import read_status
    from qsv_eval.status.table import print_missing, print_status, status_as_json

    found = read_status(folder, datetime.now(UTC))
    if as_json:
        typer.echo(json.dumps(status_as_json(found), indent=2))
    else:
        (print_missing if missing else print_status)(found)
    raise typer.Exit(0 if found.complete else EXIT_INCOMPLETE)


@app.command(epilog='Example: qsv-eval ask --pretrained CHECKPOINT --video clip.mp4 "What happens first?"')
def ask(
    pretrained: Pretrained,
    question: Annotated[str, typer.Argument(help="Question to ask.")] = "",
    video: Annotated[list[Path] | None, typer.Option(help="Video file; may be given several times.")] = None,
    image: Annotated[list[Path] | None, typer.Option(help="Image file; may be given several times.")] = None,
    messages: Annotated[
        Path | None,
        typer.Option(help="JSON file with a conversation in chat form, instead of question, videos and images."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print text, token_ids, prompt, frames and cubes.")] = False,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Largest number of tokens of the reply.")] = 512,
    max_frames: MaxFrames = 420,
    fps: Fps = 1.0,
    frame_rule: Rule = FrameRuleName.REFERENCE,
    dtype: Dtype = "auto",
    device: Device = None,
    revision: Revision = None,
    subfolder: Subfolder = "",
) -> None:
    """Ask a checkpoint one question about videos and images."""
    from qsv_eval.ask import conversation, reply_as_json
    from qsv_eval.model_adapters.frames import FrameRule

    asked = conversation(question, video or [], image or [], messages)
    rule = FrameRule(fps, max_frames, frame_rule.value)
    from qsv_eval.model_adapters.quicksviewer import load_pretrained  # after what can be wrong at once: it is slow

    qv = load_pretrained(
        pretrained, device=device, dtype=dtype, frame_rule=rule, revision=revision, subfolder=subfolder
    )
    hear = None if as_json else partial(print, end="", flush=True)
    reply = qv.chat(asked, max_new_tokens=max_new_tokens, hear=hear)
    typer.echo(reply_as_json(reply) if as_json else "")


@app.command(name="train", epilog="Example: qsv-eval train stage1 mixture=data.yaml rates.cubing=2e-4 --dry-run")
def train_command(
    stage: Annotated[str, typer.Argument(help="stage1, stage2, stage3, or tiny for all stages of the built-in model.")],
    changes: Annotated[list[str] | None, typer.Argument(help="Changes of the recipe, as key=value.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder of the run; the same folder resumes; below qsv_runs/ if not given.")
    ] = None,
    preset: Annotated[
        str, typer.Option(help="Settings of the paper, or of the published scripts: paper or script.")
    ] = "paper",
    backbone: Annotated[str, typer.Option(help="Language model that stage1 starts from: qwen2 or llama3.")] = "qwen2",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the trained parts, data, steps and memory without loading weights.")
    ] = False,
    device: Device = None,
    report_to: Annotated[
        str, typer.Option(help="Experiment tracker beside the metrics files, such as wandb.")
    ] = "none",
) -> None:
    """Train a stage. Several GPUs: accelerate launch -m qsv_eval.cli train …; a run that was stopped goes on."""
    from qsv_eval.model_adapters.errors import SetupError
    from qsv_eval.train import forecast_stage, train_stage

    output = output or Path("qsv_runs/train") / stage
    if device not in (None, "cpu"):
        raise SetupError(f"--device {device}: give cpu, or choose GPUs by CUDA_VISIBLE_DEVICES and accelerate launch")
    if stage == "tiny":
        if dry_run:
            raise SetupError("train tiny: its data are drawn as it goes, so there is no --dry-run; see training/tiny/")
        if (preset, backbone, report_to) != ("paper", "qwen2", "none"):
            raise SetupError("train tiny: has one recipe, on the CPU; leave out --preset, --backbone and --report-to")
        from qsv_eval.tiny.curriculum import train_tiny  # which loads what draws its card, too

        typer.echo(train_tiny(output, changes or []))
    elif dry_run:
        forecast_stage(stage, preset, backbone, changes or [])
    else:
        from qsv_eval.tiny.evaluate import evaluate_clips

        final = train_stage(
            stage,
            preset,
            backbone,
            changes or [],
            output,
            lambda model, _: evaluate_clips(model).metrics(),
            cpu=device == "cpu",
            report_to=report_to,
        )
        typer.echo(final)


@app.command(
    epilog='Example: lmms-eval --model quicksviewer --include_path "$(qsv-eval tasks --path)" --tasks qsv_demo …'
)
def tasks(
    path: Annotated[
        bool, typer.Option("--path", help="Print the folder of the task files, for --include_path.")
    ] = False,
) -> None:
    """List our tasks."""
    from qsv_eval.tasks import FOLDER, task_files

    if path:
        typer.echo(FOLDER)
        return
    for name, file in task_files().items():
        typer.echo(f"{name:32} {file.read_text('utf-8').partition(chr(10))[0].removeprefix('# ')}")


def _model_args(given: Mapping[str, Any]) -> "ModelArgs":
    from qsv_eval.model_adapters.model_args import ModelArgs

    return ModelArgs.parse(model_options(given))


def main() -> None:
    """Run the command line; what a user can put right is one line on stderr, without a traceback."""
    note_start()
    code: int | str | None = 0
    message = ""
    try:
        app()
    except QsvError as error:
        code, message = EXIT_SETUP, str(error)
        if not is_supervised():  # a supervisor says it once for all ranks
            typer.echo(f"qsv-eval: {message}", err=True)
    except SystemExit as done:
        code = done.code
    except BaseException as error:
        wait_for_the_first_to_die()
        note_end(1, f"{type(error).__name__}: {error}")
        raise
    code = code if isinstance(code, int) else int(code is not None)
    note_end(code, message)
    # To a launcher, an incomplete result is no failure: it would end the other ranks.
    sys.exit(0 if is_supervised() and code == EXIT_INCOMPLETE else code)


if __name__ == "__main__":
    main()
