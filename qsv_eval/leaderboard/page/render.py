"""The page itself: one HTML file that contains its style, script and numbers."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files as resources
from pathlib import Path
from typing import Any, Final, NamedTuple

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from qsv_eval.leaderboard.page.data_files import DataFiles, as_json
from qsv_eval.leaderboard.page.table_data import DETAIL_COLUMNS, detail_rows, rows_of, with_score_indices
from qsv_eval.leaderboard.page.text import visible_json
from qsv_eval.leaderboard.plots.draw import Plot
from qsv_eval.leaderboard.records import OWN, PUBLISHED
from qsv_eval.leaderboard.safe_text import file_name
from qsv_eval.leaderboard.tables import LEGEND, RowKey
from qsv_eval.leaderboard.write import Leaderboard, write_texts
from qsv_eval.model_adapters.plurals import counted

__all__ = ["INDEX", "PageContent", "write_index"]

INDEX: Final = "index.html"
_TITLE: Final = "Leaderboard"


class PageContent(NamedTuple):
    """Content of the page."""

    leaderboard: Leaderboard
    scores: Sequence[Mapping[str, Any]]
    """Headline scores, as `score_entries` returns them."""
    plots: Sequence[Plot]
    no_samples: str
    """Reason why there are no samples; empty if there are."""


def write_index(content: PageContent, output: Path, files: DataFiles) -> Path:
    """Write the page and the data files of groups and protocols; return the page.

    Raises:
        SetupError: the folder cannot be written.
    """
    assets = resources(__package__) / "assets"
    scripts = sorted(asset.name for asset in assets.iterdir() if asset.name.endswith(".js"))
    script = "".join((assets / name).read_text("utf-8") for name in scripts)
    # Only this script and those beside the page may run, so no script in a text can.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    files.write("protocols/all", visible_json(content.leaderboard.measured.protocols))
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = environment.from_string((assets / "index.html.jinja").read_text("utf-8")).render(
        title=_TITLE,
        script_source=f"'self' file: 'sha256-{digest}'",
        # Only the package's own files and the output of `as_json` are not escaped.
        css=Markup((assets / "page.css").read_text("utf-8")),  # noqa: S704
        script=Markup(script),  # noqa: S704
        data=Markup(as_json(_data(content, output))),  # noqa: S704
        **_tables(content, files),
    )
    [page] = write_texts({INDEX: text + "\n"}, output)
    return page


def _tables(content: PageContent, files: DataFiles) -> dict[str, Any]:
    leaderboard, table = content.leaderboard, content.leaderboard.headline
    tasks = [column.removesuffix(f" ({OWN})") for column in table.columns]
    groups = [
        {
            "title": breakdown.title,
            "key": files.write(
                f"groups/{file_name(breakdown.title)}", {"columns": breakdown.columns, "rows": rows_of(breakdown)}
            ),
        }
        for breakdown in leaderboard.breakdowns
    ]
    sections = {
        "scores": "Scores",
        "details": "Details",
        "groups": "Groups" if groups else "",
        "plots": "Plots" if content.plots else "",
        "samples": "Samples",
        "runs": "Runs",
    }
    runs = leaderboard.measured.runs
    return {
        "summary": _summary(content),
        "sections": [(name, title) for name, title in sections.items() if title],
        "columns": table.columns,
        "rows": with_score_indices(rows_of(table), table, tasks, _score_indices(content.scores)),
        "legend": LEGEND,
        "detail_columns": DETAIL_COLUMNS,
        "details": detail_rows(content.scores),
        "groups": groups,
        "plots": list(dict.fromkeys(plot.task for plot in content.plots)),
        "has_samples": not content.no_samples,
        "no_samples": content.no_samples,
        "run_columns": list(runs.columns),
        "runs": runs.to_numpy().tolist(),
    }


def _score_indices(scores: Sequence[Mapping[str, Any]]) -> dict[tuple[RowKey, str], int]:
    return {
        (RowKey(score["model"], score["setting"], score["kind"] == PUBLISHED), score["task"]): index
        for index, score in enumerate(scores)
    }


def _summary(content: PageContent) -> str:
    measured = [score for score in content.scores if score["kind"] != PUBLISHED]
    models, tasks = ({score[name] for score in measured} for name in ("model", "task"))
    answers = sum(score["n"] or 0 for score in measured)
    counts = ((len(models), "model"), (len(content.leaderboard.measured.runs), "run"), (len(tasks), "benchmark"))
    listed = ", ".join(counted(count, name) for count, name in counts)
    return f"{listed}; the measured numbers are averages of {counted(answers, 'answer')}."


def _data(content: PageContent, output: Path) -> dict[str, Any]:
    plots = [
        {"task": plot.task, "title": plot.title}
        | {name: getattr(plot, name).relative_to(output).as_posix() for name in ("svg", "png")}
        for plot in content.plots
    ]
    return {"scores": content.scores, "plots": plots}
