"""`qsv-eval doctor`: is a benchmark there, whole and readable? Found out before a night's run, not in the middle of it."""
