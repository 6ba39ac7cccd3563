"""The files of a leaderboard. The same results give the same bytes: nothing here knows the time or the machine."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from qsv_eval.leaderboard.csv_files import as_csv, wide_frame
from qsv_eval.leaderboard.latex import as_latex
from qsv_eval.leaderboard.load import Tables, load
from qsv_eval.leaderboard.markdown import markdown_document
from qsv_eval.leaderboard.published import read_peers
from qsv_eval.leaderboard.tables import Table, breakdowns, headline_table
from qsv_eval.model_adapters.errors import SetupError

__all__ = ["Leaderboard", "make_leaderboard", "write_files", "write_texts"]


class Leaderboard(NamedTuple):
    """Everything that the files are made of."""

    board: Tables
    """Runs and scores that the tables are made of."""
    scores: pd.DataFrame
    """The same and what others published."""
    headline: Table
    breakdowns: Sequence[Table]


def make_leaderboard(folders: Sequence[Path], peers: Path | None = None) -> Leaderboard:
    """Read all results below folders, and the published numbers.

    Raises:
        SetupError: there is nothing to read, or something that cannot be read or shown.
    """
    board = load(folders)
    scores = pd.concat([board.scores, read_peers(peers, set(board.scores["task"]))], ignore_index=True)
    return Leaderboard(board, scores, headline_table(scores, "Official averages"), breakdowns(scores))


def write_files(made: Leaderboard, output: Path) -> list[Path]:
    """Write tables as Markdown, CSV and LaTeX, and what they are made of; return the files.

    Raises:
        SetupError: the folder cannot be written to.
    """
    scores = made.scores
    contents = {
        "leaderboard.md": markdown_document(made.headline, made.breakdowns, scores, made.board.runs),
        "leaderboard.csv": as_csv(wide_frame(made.headline)),
        "leaderboard.tex": as_latex(made.headline),
        "breakdowns.tex": "\n".join(map(as_latex, made.breakdowns)),
        "scores.csv": as_csv(scores),
        "runs.csv": as_csv(made.board.runs),
        "protocols.json": json.dumps(made.board.protocols, indent=1, sort_keys=True) + "\n",
    }
    return write_texts(contents, output)


def write_texts(contents: Mapping[str, str], output: Path) -> list[Path]:
    """Write texts by the names of their files; return the files.

    Raises:
        SetupError: the folder cannot be written to.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        for name, text in contents.items():
            (output / name).write_text(text, "utf-8", newline="\n")
    except OSError as error:
        raise SetupError(f"{output}: cannot be written to ({error}); name another --output") from error
    return [output / name for name in contents]
