"""`qsv-eval doctor`: is a benchmark there, whole and readable? Better found out before a night's run than in it."""
