"""Scores of several runs, side by side, and what their differences are worth (docs/leaderboard.md).

    made = make_leaderboard([Path("qsv_runs")])    # write.py
    found = compare_runs(Path("a"), Path("b"))     # compare/tasks.py

In the order in which a number travels:

- `resultfiles.py` finds results files, `records.py` reads one, `load.py` makes frames of all; `settings.py` names what
  the runs of a model differ in, `choose.py` says which of several runs is shown, `peers.py` reads published numbers.
- `tables.py` makes wide tables and marks their cells; `shown.py` says how a cell reads, `text.py` makes text harmless.
- `markdown.py`, `latex.py` and `csvfiles.py` are the formats, `view.py` the terminal; `document.py` is the page,
  `write.py` writes all files.
- `samples.py` reads questions and replies, `stats.py` has the tests, and `compare/` puts two runs side by side.
"""
