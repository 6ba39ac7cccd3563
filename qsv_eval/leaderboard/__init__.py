"""Scores of several runs, side by side, and what their differences are worth (docs/leaderboard.md).

    made = make_leaderboard([Path("qsv_runs")])    # write.py
    found = compare_runs(Path("a"), Path("b"))     # compare/compare.py

In the order in which a number travels:

- `resultfiles.py` finds results files, `records.py` reads one, `load.py` makes frames of all; `modelnames.py` and
  `settings.py` say what rows are called, `choose.py` which of several runs is shown, `peers.py` has published numbers.
- `tables.py` makes wide tables and marks their cells; `shown.py` says how a cell reads, `text.py` makes text harmless.
- `markdown.py`, `latex.py` and `csvfiles.py` are the formats, `view.py` the terminal; `document.py` is
  `leaderboard.md`, and `write.py` writes all these files.
- `origins.py` finds what lies beside a results file: `samples.py` and `samplelines.py` read questions and replies,
  `journals.py` the frames of each answer, `usage.py` what answers took.
- `publish.py` makes what is looked at: `plots/` and `page/`, with `spread.py` over several processes.
- `compare/` puts two runs side by side; `stats.py` has the tests.
"""
