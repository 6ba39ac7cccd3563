"""`qsv-eval doctor`: check before a run that a benchmark is complete and readable."""
