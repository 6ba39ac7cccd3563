"""MVBench."""
