"""The files of a leaderboard. The same results give the same bytes: nothing here knows the time or the machine."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from qsv_eval.leaderboard.csvfiles import as_csv
from qsv_eval.leaderboard.latex import as_latex
from qsv_eval.leaderboard.load import Board, load
from qsv_eval.leaderboard.markdown import as_markdown, escaped, legend, lines_of
from qsv_eval.leaderboard.peers import PUBLISHED, read_peers
from qsv_eval.leaderboard.shown import formatted
from qsv_eval.leaderboard.tables import Cell, Table, breakdowns, headline_table
from qsv_eval.leaderboard.text import natural
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.scoring.outcome import Outcome, named

__all__ = ["Leaderboard", "make_leaderboard", "write_files", "write_texts"]


class Leaderboard(NamedTuple):
    """Everything that the files are made of."""

    board: Board
    """What was measured."""
    scores: pd.DataFrame
    """The same and what others published."""
    headline: Table
    breakdowns: Sequence[Table]


def make_leaderboard(folders: Sequence[Path], peers: Path | None = None) -> Leaderboard:
    """Read all results below folders, and the published numbers.

    Raises:
        SetupError: there is nothing to read, or something that cannot be read.
    """
    board = load(folders)
    scores = pd.concat([board.scores, read_peers(peers)], ignore_index=True)
    return Leaderboard(board, scores, headline_table(scores, "Official averages"), breakdowns(scores))


def write_files(made: Leaderboard, output: Path) -> list[Path]:
    """Write tables as Markdown, CSV and LaTeX, and what they are made of; return the files.

    Raises:
        SetupError: the folder cannot be written to.
    """
    scores = made.scores
    contents = {
        "leaderboard.md": _markdown(made),
        "leaderboard.csv": as_csv(_wide_frame(made.headline)),
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


def _wide_frame(table: Table) -> pd.DataFrame:
    rows = []
    for place, cells in table.rows:
        row: dict[str, Any] = {"model": place.model, "setting": place.setting}
        row["kind"] = PUBLISHED if place.is_published else "measured"
        for column, cell in zip(table.columns, cells, strict=True):
            row |= {f"{column}{' ' * bool(name)}{name}": value for name, value in _parts(cell).items()}
        rows.append(row)
    frame = pd.DataFrame(rows)
    return frame.astype({name: "Int64" for name in frame.columns if name.endswith(" n")})


def _parts(cell: Cell | None) -> dict[str, Any]:
    if cell is None:
        return dict.fromkeys(("", "low", "high", "n", "lowest", "highest", "mark"))
    mark = cell.mark.value or ("near the best" if cell.is_near_best else "")
    incomplete = cell.is_complete is False
    return {
        "": cell.value,
        "low": cell.low,
        "high": cell.high,
        "n": cell.n,
        "lowest": cell.lowest if incomplete else None,
        "highest": cell.highest if incomplete else None,
        "mark": ", ".join(
            filter(None, [mark, "incomplete" if incomplete else "", "degraded" if cell.is_degraded else ""])
        ),
    }


# ---- the page


def _markdown(made: Leaderboard) -> str:
    shown = made.scores[made.scores["shown"] & (made.scores["field"] == "")]
    measured, published = shown[shown["kind"] != PUBLISHED], shown[shown["kind"] == PUBLISHED]
    published = published[published["task"].isin(made.headline.columns)]
    parts = ["# Leaderboard", "", "Made by `qsv-eval leaderboard` out of results files; not to be edited.", ""]
    parts += [as_markdown(made.headline), legend()]
    parts += ["## What stands behind the numbers", "", *_behind(measured), ""]
    parts += [as_markdown(table) for table in made.breakdowns]
    if len(published):
        parts += ["## Published numbers", "", *_sources(published), ""]
    parts += ["## Runs", "", *_runs(made.board), ""]
    return "\n".join(parts)


def _behind(scores: pd.DataFrame) -> list[str]:
    header = [
        "model",
        "setting",
        "task",
        "score",
        "outcomes",
        "mean of questions",
        "average",
        "scale",
        "protocol",
        "file",
    ]
    rows = []
    ordered = sorted(
        scores.to_dict("records"), key=lambda row: (row["task"], natural(row["model"]), natural(row["setting"]))
    )
    for row in ordered:
        micro = "" if pd.isna(row["micro"]) else formatted(row["micro"], row["scale"])
        value = "" if pd.isna(row["value"]) else formatted(row["value"], row["scale"])
        said = (row[name] for name in ("model", "setting", "task"))
        behind = (row[name] for name in ("scale", "protocol", "file"))
        average = row["average"] or f"{row['kind']}: {row['metric'] or 'no number'}"
        rows.append([*map(escaped, said), value, _outcomes(row), micro, escaped(average), *map(escaped, behind)])
    return lines_of(header, rows)


def _outcomes(row: dict[Any, Any]) -> str:
    counts = {outcome.value: int(row[outcome.value]) for outcome in Outcome if not pd.isna(row[outcome.value])}
    asked = "" if pd.isna(row["n"]) else f"{row['n']} asked"
    return ": ".join(filter(None, [asked, named(counts)]))


def _sources(scores: pd.DataFrame) -> list[str]:
    columns = ["model", "setting", "task", "value", "source", "note"]
    return lines_of(columns, _escaped_rows(scores.sort_values(["model", "task"], kind="stable")[columns]))


def _runs(board: Board) -> list[str]:
    return lines_of(list(board.runs.columns), _escaped_rows(board.runs))


def _escaped_rows(frame: pd.DataFrame) -> Iterable[list[str]]:
    return ([escaped(value) for value in row] for row in frame.itertuples(index=False, name=None))
