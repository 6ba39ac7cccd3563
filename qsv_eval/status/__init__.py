"""Status of a run, read from its journal alone."""
