"""The verbs of the command line that need no model: scoring, protocols, and the benchmarks on disk."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from qsv_eval.cli_options import (
    EXIT_INCOMPLETE,
    JudgeBudget,
    JudgeConcurrency,
    JudgeModel,
    JudgePrice,
    JudgeUrl,
    judge_settings,
)
from qsv_eval.model_adapters.plurals import counted

__all__ = ["register"]


class ExtractorName(StrEnum):
    """Extractors that read a letter out of a reply."""

    STRICT = "strict"
    REFERENCE = "reference"


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command(epilog="Example: qsv-eval score OUT --judge-model gpt-4o-mini --judge-budget 2000000")(score)
    app.command(epilog="Example: qsv-eval agreement OUT --judge-model gpt-4o-mini --other-model qwen2.5-72b")(agreement)
    app.command(epilog="Example: qsv-eval protocol qsv_videomme; qsv-eval protocol qsv_videomme --run A --against B")(
        protocol
    )
    app.command(epilog="Example: qsv-eval doctor videomme")(doctor)
    data = typer.Typer(no_args_is_help=True, help="Prepare benchmarks on disk.")
    data.command(epilog="Example: qsv-eval data prepare mvbench --from ~/downloads/MVBench")(prepare)
    app.add_typer(data, name="data")


def score(
    folder: Annotated[Path, typer.Argument(help="The --output folder of a run.")],
    extractor: Annotated[
        ExtractorName, typer.Option(help="Extractor that reads letters out of replies.")
    ] = ExtractorName.STRICT,
    judge_model: JudgeModel = None,
    judge_url: JudgeUrl = None,
    judge_budget: JudgeBudget = None,
    judge_price: JudgePrice = None,
    judge_concurrency: JudgeConcurrency = 16,
) -> None:
    """Score a run's saved replies again, without a model; a new results file is written beside the old ones."""
    from qsv_eval.score import score_run
    from qsv_eval.terminal_report import print_summaries

    judge = judge_settings(judge_model, judge_url, judge_budget, judge_price, judge_concurrency)
    scored = score_run(folder, extractor=extractor.value, judge=judge)
    print_summaries(scored.summaries)
    typer.echo(f"results in {scored.results_file}")
    raise typer.Exit(0 if scored.complete else EXIT_INCOMPLETE)


def agreement(
    folder: Annotated[Path, typer.Argument(help="The --output folder of a run.")],
    judge_model: Annotated[str, typer.Option(envvar="QSV_JUDGE_MODEL", help="Model name of the first judge.")],
    other_model: Annotated[str, typer.Option(help="Model name of the second judge.")],
    judge_url: JudgeUrl = None,
    other_url: Annotated[
        str | None, typer.Option(help="Address of the second judge's server; the first judge's if not given.")
    ] = None,
    judge_budget: JudgeBudget = None,
    judge_concurrency: JudgeConcurrency = 16,
) -> None:
    """Have two judges score the same replies and print how far they agree beyond chance (Cohen's kappa)."""
    from qsv_eval.score import compare_judges
    from qsv_eval.terminal_report import print_agreement

    one = judge_settings(judge_model, judge_url, judge_budget, None, judge_concurrency)
    other = judge_settings(other_model, other_url or judge_url, judge_budget, None, judge_concurrency)
    assert one is not None
    assert other is not None
    print_agreement(compare_judges(folder, one, other))


def protocol(
    task: Annotated[str, typer.Argument(help="Task name.")],
    run: Annotated[
        Path | None,
        typer.Option(help="Folder of a run whose stored protocol is printed; that of a new run if not given."),
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="Folder of a run to compare with; only differences are printed.")
    ] = None,
) -> None:
    """Print everything that moves a task's score, or where two runs differ in it."""
    import json

    from qsv_eval.protocol_diff import protocol_of, show_differences

    record = protocol_of(task, run)
    if against is None:
        typer.echo(json.dumps(record, indent=2, ensure_ascii=False))
    else:
        show_differences(record, protocol_of(task, against), str(run or "now"), str(against))


def doctor(
    benchmark: Annotated[str, typer.Argument(help="Benchmark name, such as videomme.")],
    threads: Annotated[
        int | None, typer.Option(min=1, help="Number of files checked at once; by the number of cores if not given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the defects as JSON.")] = False,
) -> None:
    """Examine a benchmark on disk: every file opens and is whole, annotations make sense. Exit with 3 if not."""
    import json

    from qsv_eval.doctor.diagnosis import diagnose, print_diagnosis, write_manifest

    found = diagnose(benchmark, threads=threads)
    manifest = write_manifest(found)
    if as_json:
        typer.echo(json.dumps([defect._asdict() for defect in found.defects], indent=2, ensure_ascii=False))
    else:
        print_diagnosis(found, manifest)
    raise typer.Exit(EXIT_INCOMPLETE if found.defects else 0)


def prepare(
    benchmark: Annotated[str, typer.Argument(help="Benchmark name, such as videomme.")],
    source: Annotated[Path, typer.Option("--from", help="Download of the benchmark, in any official layout.")],
    root: Annotated[Path | None, typer.Option("--to", help="Folder of all benchmarks; $QSV_DATA if not given.")] = None,
    remove_archives: Annotated[bool, typer.Option(help="Delete each archive once its content is in place.")] = False,
) -> None:
    """Unpack a benchmark and convert its annotations, once for all runs. Given again, it goes on."""
    from qsv_eval.data.benchmark import data_root
    from qsv_eval.data.prepare import prepare as prepare_benchmark
    from qsv_eval.model_adapters.errors import SetupError
    from qsv_eval.tasks.registry import benchmark_named

    place = root or data_root()
    if place is None:
        raise SetupError("data prepare: name the folder of the benchmarks by --to or QSV_DATA")
    done = prepare_benchmark(benchmark_named(benchmark), source, place, remove_archives=remove_archives)
    for part, count in done.samples.items():
        typer.echo(f"{benchmark} {part}: {counted(count, 'sample')}")
    typer.echo(f"in {done.folder}")
    for path in done.missing[:20]:
        typer.echo(f"missing: {path}")
    if len(done.missing) > 20:
        typer.echo(f"… and {len(done.missing) - 20} more files are missing")
    raise typer.Exit(EXIT_INCOMPLETE if done.missing else 0)
