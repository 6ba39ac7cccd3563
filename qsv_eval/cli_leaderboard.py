"""Commands `leaderboard` (tables, plots and a page of many runs) and `compare` (two runs, question by question)."""

from pathlib import Path
from typing import Annotated

import typer

from qsv_eval.cli_options import EXIT_INCOMPLETE

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(epilog="Example: qsv-eval leaderboard qsv_runs --output results")(leaderboard)
    app.command(epilog="Example: qsv-eval compare OUT_64_FRAMES OUT_420_FRAMES --output difference")(compare)


def leaderboard(
    folders: Annotated[list[Path], typer.Argument(help="Folders with results files of lmms-eval, of any model.")],
    output: Annotated[Path, typer.Option(help="Folder for the tables.")] = Path("results"),
    peers: Annotated[
        Path | None, typer.Option(help="CSV file of published numbers; the built-in one if not given.")
    ] = None,
    page: Annotated[bool, typer.Option(help="Write index.html, a page with tables and samples.")] = True,
    plots: Annotated[bool, typer.Option(help="Write plots as SVG and PNG.")] = True,
    samples_per_task: Annotated[
        int, typer.Option(min=0, help="Number of samples of each task of a run on the page.")
    ] = 100,
) -> None:
    """Make tables of runs: Markdown, CSV and LaTeX, plots and a page. Exit with 3 if a score is incomplete."""
    from qsv_eval.leaderboard.publish import publish
    from qsv_eval.leaderboard.terminal import print_table
    from qsv_eval.leaderboard.write import make_leaderboard, write_files

    board = make_leaderboard(folders, peers)
    files = write_files(board, output)
    files += publish(board, folders, output, page=page, plots=plots, samples_per_task=samples_per_task)
    print_table(board.headline)
    for file in files:
        typer.echo(file)
    cells = (cell for _, row in board.headline.rows for cell in row if cell is not None)
    raise typer.Exit(EXIT_INCOMPLETE if any(cell.is_complete is False for cell in cells) else 0)


def compare(
    first: Annotated[
        Path,
        typer.Argument(
            metavar="A", help="Folder of a run, or a results file; SWEEP@max_frames=64 for a cell of a sweep."
        ),
    ],
    second: Annotated[Path, typer.Argument(metavar="B", help="Folder or results file of the other run.")],
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for the comparison as files, with all questions; none are written if not given."),
    ] = None,
    flips: Annotated[
        int, typer.Option(min=0, help="Number of questions to print on which only one run is right.")
    ] = 10,
) -> None:
    """Compare two runs on the questions that both were asked: protocols first, then scores, then replies."""
    from qsv_eval.leaderboard.compare.compare import compare_runs
    from qsv_eval.leaderboard.compare.report import print_comparison, write_comparison

    comparison = compare_runs(first, second)
    print_comparison(comparison, flips=flips)
    for file in write_comparison(comparison, output) if output else ():
        typer.echo(file)
