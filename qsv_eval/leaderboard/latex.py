r"""Tables as LaTeX, for \input in a paper that loads booktabs and, for what is not ASCII, has a font that shows it.

An interval stands below its number, how many questions were asked in the header where it is the same for all, and a
breakdown of more groups than rows on its side, or no page would be wide enough.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from qsv_eval.leaderboard.safe_text import plain
from qsv_eval.leaderboard.tables import Cell, Mark, Table, cell_text

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
"""Pairs of characters that TeX would print as one, such as a dash."""


def latex_escaped(text: object) -> str:
    """Return text that LaTeX prints as it is."""
    return _LIGATURE.sub(r"\1{}", plain(text).translate(_SPECIAL))


class _LatexRow(NamedTuple):
    """A line of the table as it stands on paper, in LaTeX."""

    names: list[str]
    cells: list[str]
    is_published: bool = False


def as_latex(table: Table) -> str:
    """Return a table, and below it what its marks mean."""
    asked = [_asked(column) for column in zip(*(cells for _, cells in table.rows), strict=True)]
    heads = [_stacked(latex_escaped(name), n) for name, n in zip(table.columns, asked, strict=True)]
    cells = [[_cell(cell, with_n=not n) for cell, n in zip(own, asked, strict=True)] for _, own in table.rows]
    places = [place for place, _ in table.rows]
    if len(table.columns) > len(table.rows):
        header = _LatexRow([""], [_stacked(latex_escaped(place.model), latex_escaped(place.label)) for place in places])
        lines = [_LatexRow([head], [own[number] for own in cells]) for number, head in enumerate(heads)]
    else:
        header = _LatexRow(["model", "setting"], heads)
        lines = [
            _LatexRow([latex_escaped(place.model), latex_escaped(place.label)], own, place.is_published)
            for place, own in zip(places, cells, strict=True)
        ]
    return "\n".join([f"% {plain(table.title)}", *_tabular(header, lines), _meaning(table), ""])


def _tabular(header: _LatexRow, lines: Sequence[_LatexRow]) -> list[str]:
    said = [
        rf"\begin{{tabular}}{{{'l' * len(header.names)}{'r' * len(header.cells)}}}",
        r"\toprule",
        _row(header),
        r"\midrule",
    ]
    before = lines[0] if lines else header
    for line in lines:
        if line.is_published and not before.is_published:
            said.append(r"\midrule")
        before = line
        said.append(_row(line))
    return [*said, r"\bottomrule", r"\end{tabular}"]


def _row(line: _LatexRow) -> str:
    return rf"{' & '.join([*line.names, *line.cells])} \\"


def _stacked(above: str, below: str) -> str:
    """Put something small below a text, which stays on the line."""
    return rf"\raisebox{{-0.8em}}{{\shortstack[r]{{{above}\\{{\scriptsize {below}}}}}}}" if below else above


def _asked(column: Sequence[Cell | None]) -> str:
    """Return how many questions all measured numbers of a column are on, empty where they differ."""
    said = {cell_text(cell).n for cell in column if cell is not None and not cell.is_published}
    return said.pop() if len(said) == 1 else ""


def _cell(cell: Cell | None, *, with_n: bool) -> str:
    if cell is None:
        return ""
    read = cell_text(cell)
    value = {Mark.BEST: rf"\textbf{{{read.value}}}", Mark.SECOND: rf"\underline{{{read.value}}}"}.get(
        cell.mark, read.value
    )
    signs = _signs(cell)
    raised = f"$^{{{' '.join(signs)}}}$" if signs else ""
    n = read.n if with_n and not cell.is_published else ""
    below = filter(None, [latex_escaped(read.interval), n, f"({read.possible})" if read.possible else ""])
    return _stacked(f"{value}{raised}", " ".join(below))


_NEAR, _INCOMPLETE, _DEGRADED, _PUBLISHED = r"\approx", r"\dagger", r"\ddagger", "*"
_MEANINGS: Final = {
    _NEAR: "not to be told apart from the best",
    _INCOMPLETE: "incomplete, with the possible range",
    _DEGRADED: "some answers rest on fewer frames",
    _PUBLISHED: "as published, under another protocol",
}


def _signs(cell: Cell) -> list[str]:
    marks = cell_text(cell).marks
    has = {
        _NEAR: cell.is_near_best,
        _INCOMPLETE: "incomplete" in marks,
        _DEGRADED: "degraded" in marks,
        _PUBLISHED: cell.is_published,
    }
    return [sign for sign, is_there in has.items() if is_there]


def _meaning(table: Table) -> str:
    """Say below a table what of the marks it has means; no reader of a paper sees comments."""
    cells = [cell for _, own in table.rows for cell in own if cell is not None]
    said = ["Bold: best; underlined: second best"] if any(cell.mark is not Mark.NONE for cell in cells) else []
    used = {sign for cell in cells for sign in _signs(cell)}
    said += [f"${sign}$: {meaning}" for sign, meaning in _MEANINGS.items() if sign in used]
    if any(cell.low is not None for cell in cells):
        said.append("in brackets: 95\\,\\% intervals, clustered by video or image")
    return rf"\par\smallskip\noindent{{\footnotesize {'; '.join(said)}.}}" if said else "%"
