r"""Tables as LaTeX, for \input in a paper that loads booktabs and, for what is not ASCII, has a font that shows it."""

import re
from typing import Final

from qsv_eval.leaderboard.shown import reading
from qsv_eval.leaderboard.tables import Cell, Mark, Table
from qsv_eval.leaderboard.text import plain

__all__ = ["as_latex", "latex_escaped"]

_SPECIAL: Final = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "{": r"\{",
        "}": r"\}",
        "$": r"\$",
        "&": r"\&",
        "%": r"\%",
        "#": r"\#",
        "_": r"\_",
        "^": r"\textasciicircum{}",
        "~": r"\textasciitilde{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"{\char34}",  # \textquotedbl needs an encoding that papers do not load
        "[": "{[}",  # else an optional argument after a line's end
        "]": "{]}",
        "≈": r"$\approx$",
        "…": r"\dots{}",
    }
)
_LIGATURE: Final = re.compile(r"([-,'`])(?=\1)")
"""What TeX would print as one character, such as a dash."""


def latex_escaped(text: object) -> str:
    """Return text that LaTeX prints as it is."""
    return _LIGATURE.sub(r"\1{}", plain(text).translate(_SPECIAL))


def as_latex(table: Table) -> str:
    """Return a table with the meaning of its marks as comments above."""
    header = ["model", "setting", *map(latex_escaped, table.columns)]
    lines = [
        f"% {plain(table.title)}. Bold: best; underlined: second best; approx: not to be told apart from the best;",
        "% dagger: incomplete, with the possible range; ddagger: some answers rest on fewer frames; *: published.",
        rf"\begin{{tabular}}{{ll{'r' * len(table.columns)}}}",
        r"\toprule",
        rf"{' & '.join(header)} \\",
        r"\midrule",
    ]
    published_before = table.rows[0][0].is_published if table.rows else False
    for place, cells in table.rows:
        if place.is_published and not published_before:
            lines.append(r"\midrule")
        published_before = place.is_published
        said = [latex_escaped(place.model), latex_escaped(place.label)]
        lines.append(rf"{' & '.join([*said, *map(_cell, cells)])} \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return ""
    read = reading(cell)
    value = {Mark.BEST: rf"\textbf{{{read.value}}}", Mark.SECOND: rf"\underline{{{read.value}}}"}.get(
        cell.mark, read.value
    )
    signs = [
        *([r"\approx"] if cell.is_near_best else []),
        *([r"\dagger"] if "incomplete" in read.marks else []),
        *([r"\ddagger"] if "degraded" in read.marks else []),
        *(["*"] if cell.is_published else []),
    ]
    raised = f"$^{{{' '.join(signs)}}}$" if signs else ""
    behind = " ".join(
        filter(None, [latex_escaped(read.interval), read.n, f"({read.possible})" if read.possible else ""])
    )
    return f"{value}{raised}" + (rf" {{\scriptsize {behind}}}" if behind else "")
