"""Tables, plots and a page of many runs, and comparisons of two runs (docs/leaderboard.md).

    leaderboard = make_leaderboard([Path("qsv_runs")])       # write.py
    comparison = compare_runs(Path("a"), Path("b"))          # compare/compare.py

- `result_files.py` finds and reads results files, `records.py` turns one into records, `load.py` turns all of them into
  data frames; `labels.py` names models and settings, `published.py` reads published numbers.
- `tables.py` makes wide tables and marks their cells; `markdown.py`, `latex.py`, `csv_files.py` and `terminal.py`
  format them, `safe_text.py` makes strings from files harmless, `write.py` writes the files.
- `run_index.py` finds the samples files and the journal of a results file; `samples.py` reads samples.
- `publish.py` makes plots (`plots/`) and the page (`page/`), over several processes (`parallel.py`).
- `compare/` compares two runs; `stats.py` has the statistical tests.
"""
