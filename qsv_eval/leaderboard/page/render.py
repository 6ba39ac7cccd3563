"""The page itself: one file with its style, script and numbers in it."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files as resources
from pathlib import Path
from typing import Any, Final, NamedTuple

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from qsv_eval.leaderboard.page.data_files import SideFiles, as_json
from qsv_eval.leaderboard.page.table_data import BEHIND, detail_rows, rows_of, with_scores
from qsv_eval.leaderboard.page.text import visibly
from qsv_eval.leaderboard.plots.draw import Plot
from qsv_eval.leaderboard.records import OWN, PUBLISHED
from qsv_eval.leaderboard.safe_text import file_name
from qsv_eval.leaderboard.tables import LEGEND, RowKey
from qsv_eval.leaderboard.write import Leaderboard, write_texts

__all__ = ["INDEX", "Content", "write_index"]

INDEX: Final = "index.html"
_TITLE: Final = "Leaderboard"


class Content(NamedTuple):
    """Content of the page."""

    made: Leaderboard
    scores: Sequence[Mapping[str, Any]]
    """As `score_entries` returns them."""
    plots: Sequence[Plot]
    no_samples: str
    """Why there are no samples; empty where there are."""


def write_index(content: Content, output: Path, files: SideFiles) -> Path:
    """Write the page and the side files of groups and protocols; return the page.

    Raises:
        SetupError: the folder cannot be written to.
    """
    assets = resources(__package__) / "assets"
    scripts = sorted(one.name for one in assets.iterdir() if one.name.endswith(".js"))
    script = "".join((assets / name).read_text("utf-8") for name in scripts)
    # Only this script may run, and those beside the page: nothing that a text might smuggle in.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    files.write("protocols/all", visibly(content.made.board.protocols))
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = environment.from_string((assets / "index.html.jinja").read_text("utf-8")).render(
        title=_TITLE,
        script_source=f"'self' file: 'sha256-{digest}'",
        # The package's own files and `as_json` are the only texts that are not escaped.
        css=Markup((assets / "page.css").read_text("utf-8")),  # noqa: S704
        script=Markup(script),  # noqa: S704
        data=Markup(as_json(_data(content, output))),  # noqa: S704
        **_tables(content, files),
    )
    [page] = write_texts({INDEX: text + "\n"}, output)
    return page


def _tables(content: Content, files: SideFiles) -> dict[str, Any]:
    made, table = content.made, content.made.headline
    tasks = [column.removesuffix(f" ({OWN})") for column in table.columns]
    groups = [
        {
            "title": one.title,
            "key": files.write(f"groups/{file_name(one.title)}", {"columns": one.columns, "rows": rows_of(one)}),
        }
        for one in made.breakdowns
    ]
    sections = [("scores", "Scores"), ("details", "Details"), ("groups", "Groups"), ("plots", "Plots")]
    there = {"groups": bool(groups), "plots": bool(content.plots)}
    return {
        "summary": _summary(content),
        "sections": [
            pair for pair in [*sections, ("samples", "Samples"), ("runs", "Runs")] if there.get(pair[0], True)
        ],
        "columns": table.columns,
        "rows": with_scores(rows_of(table), table, tasks, _numbers(content.scores)),
        "legend": LEGEND,
        "behind_columns": BEHIND,
        "behind": detail_rows(content.scores),
        "groups": groups,
        "plots": list(dict.fromkeys(plot.task for plot in content.plots)),
        "has_samples": not content.no_samples,
        "no_samples": content.no_samples,
        "run_columns": list(made.board.runs.columns),
        "runs": made.board.runs.to_numpy().tolist(),
    }


def _data(content: Content, output: Path) -> dict[str, Any]:
    plots = [
        {"task": plot.task, "title": plot.title}
        | {name: getattr(plot, name).relative_to(output).as_posix() for name in ("svg", "png")}
        for plot in content.plots
    ]
    return {"scores": content.scores, "plots": plots}


def _numbers(scores: Sequence[Mapping[str, Any]]) -> dict[tuple[RowKey, str], int]:
    return {
        (RowKey(score["model"], score["setting"], score["kind"] == PUBLISHED), score["task"]): number
        for number, score in enumerate(scores)
    }


def _summary(content: Content) -> str:
    measured = [score for score in content.scores if score["kind"] != PUBLISHED]
    models, tasks = ({score[name] for score in measured} for name in ("model", "task"))
    asked = sum(score["n"] or 0 for score in measured)
    counts = ((len(models), "model"), (len(content.made.board.runs), "run"), (len(tasks), "benchmark"))
    named = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts)
    return f"{named}; the measured numbers rest on {asked:,} answers."
