"""Files of a leaderboard. The same results give the same bytes, at any time and on any machine."""

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
    """Measured and published scores, and their tables."""

    measured: Tables
    scores: pd.DataFrame
    """Measured and published scores."""
    headline: Table
    breakdowns: Sequence[Table]


def make_leaderboard(folders: Sequence[Path], peers: Path | None = None) -> Leaderboard:
    """Read all results below folders, and the published numbers (`peers`, or the built-in file).

    Raises:
        SetupError: there are no results, or a file cannot be read.
    """
    measured = load(folders)
    published = read_peers(peers, set(measured.scores["task"]))
    scores = pd.concat([measured.scores, published], ignore_index=True)
    return Leaderboard(measured, scores, headline_table(scores, "Official averages"), breakdowns(scores))


def write_files(leaderboard: Leaderboard, output: Path) -> list[Path]:
    """Write the tables as Markdown, CSV and LaTeX, and their data; return the files.

    Raises:
        SetupError: the folder cannot be written.
    """
    _, scores, headline, groups = leaderboard
    runs, protocols = leaderboard.measured.runs, leaderboard.measured.protocols
    contents = {
        "leaderboard.md": markdown_document(headline, groups, scores, runs),
        "leaderboard.csv": as_csv(wide_frame(headline)),
        "leaderboard.tex": as_latex(headline),
        "breakdowns.tex": "\n".join(map(as_latex, groups)),
        "scores.csv": as_csv(scores),
        "runs.csv": as_csv(runs),
        "protocols.json": json.dumps(protocols, indent=1, sort_keys=True) + "\n",
    }
    return write_texts(contents, output)


def write_texts(contents: Mapping[str, str], output: Path) -> list[Path]:
    """Write texts by file name; return the files.

    Raises:
        SetupError: the folder cannot be written.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        for name, text in contents.items():
            (output / name).write_text(text, "utf-8", newline="\n")
    except OSError as error:
        raise SetupError(f"{output}: cannot be written ({error}); name another --output") from error
    return [output / name for name in contents]
