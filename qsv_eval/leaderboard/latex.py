r"""Tables as LaTeX for \input; the paper loads booktabs and, for characters other than ASCII, a font that has them.

Intervals stand below their numbers, and the number of questions in the header if it is the same for the whole column. A
breakdown with more groups than rows is transposed to fit the page.
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
"""Characters that TeX joins into another one, such as a dash."""


def latex_escaped(text: object) -> str:
    """Return text that LaTeX prints as it is."""
    return _LIGATURE.sub(r"\1{}", plain(text).translate(_SPECIAL))


class _LatexRow(NamedTuple):
    """A row of the printed table, in LaTeX."""

    names: list[str]
    cells: list[str]
    is_published: bool = False


def as_latex(table: Table) -> str:
    """Return a table and the meaning of its marks."""
    keys, rows = [key for key, _ in table.rows], [cells for _, cells in table.rows]
    common_n = [_common_n(column) for column in zip(*rows, strict=True)]
    heads = [_stacked(latex_escaped(name), n) for name, n in zip(table.columns, common_n, strict=True)]
    cells = [[_cell(cell, with_n=not n) for cell, n in zip(row, common_n, strict=True)] for row in rows]
    if len(table.columns) > len(table.rows):
        header = _LatexRow([""], [_stacked(latex_escaped(key.model), latex_escaped(key.label)) for key in keys])
        lines = [_LatexRow([head], [row[column] for row in cells]) for column, head in enumerate(heads)]
    else:
        header = _LatexRow(["model", "setting"], heads)
        lines = [
            _LatexRow([latex_escaped(key.model), latex_escaped(key.label)], row, key.is_published)
            for key, row in zip(keys, cells, strict=True)
        ]
    return "\n".join([f"% {plain(table.title)}", *_tabular(header, lines), _meaning(table), ""])


def _tabular(header: _LatexRow, rows: Sequence[_LatexRow]) -> list[str]:
    lines = [
        rf"\begin{{tabular}}{{{'l' * len(header.names)}{'r' * len(header.cells)}}}",
        r"\toprule",
        _line(header),
        r"\midrule",
    ]
    previous = rows[0] if rows else header
    for row in rows:
        if row.is_published and not previous.is_published:
            lines.append(r"\midrule")
        previous = row
        lines.append(_line(row))
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def _line(row: _LatexRow) -> str:
    return rf"{' & '.join([*row.names, *row.cells])} \\"


def _stacked(above: str, below: str) -> str:
    """Return a text on the line with a small one below it."""
    return rf"\raisebox{{-0.8em}}{{\shortstack[r]{{{above}\\{{\scriptsize {below}}}}}}}" if below else above


def _common_n(column: Sequence[Cell | None]) -> str:
    """Return the number of questions that all measured cells of a column share, empty if they differ."""
    texts = {cell_text(cell).n for cell in column if cell is not None and not cell.is_published}
    return texts.pop() if len(texts) == 1 else ""


def _cell(cell: Cell | None, *, with_n: bool) -> str:
    if cell is None:
        return ""
    text = cell_text(cell)
    fonts = {Mark.BEST: rf"\textbf{{{text.value}}}", Mark.SECOND: rf"\underline{{{text.value}}}"}
    signs = _signs(cell)
    raised = f"$^{{{' '.join(signs)}}}$" if signs else ""
    n = text.n if with_n and not cell.is_published else ""
    below = filter(None, [latex_escaped(text.interval), n, f"({text.possible})" if text.possible else ""])
    return _stacked(f"{fonts.get(cell.mark, text.value)}{raised}", " ".join(below))


_NEAR, _INCOMPLETE, _DEGRADED, _PUBLISHED = r"\approx", r"\dagger", r"\ddagger", "*"
_MEANINGS: Final = {
    _NEAR: "not significantly different from the best",
    _INCOMPLETE: "incomplete, with the possible range",
    _DEGRADED: "some answers use fewer frames",
    _PUBLISHED: "as published, under another protocol",
}


def _signs(cell: Cell) -> list[str]:
    marks = cell_text(cell).marks
    applies = {
        _NEAR: cell.is_near_best,
        _INCOMPLETE: "incomplete" in marks,
        _DEGRADED: "degraded" in marks,
        _PUBLISHED: cell.is_published,
    }
    return [sign for sign, is_set in applies.items() if is_set]


def _meaning(table: Table) -> str:
    """Return the meaning of the marks in a table as visible text, because readers of a paper see no comments."""
    cells = [cell for _, row in table.rows for cell in row if cell is not None]
    parts = ["Bold: best; underlined: second best"] if any(cell.mark is not Mark.NONE for cell in cells) else []
    used = {sign for cell in cells for sign in _signs(cell)}
    parts += [f"${sign}$: {meaning}" for sign, meaning in _MEANINGS.items() if sign in used]
    if any(cell.low is not None for cell in cells):
        parts.append("in brackets: 95\\,\\% intervals, clustered by video or image")
    return rf"\par\smallskip\noindent{{\footnotesize {'; '.join(parts)}.}}" if parts else "%"
