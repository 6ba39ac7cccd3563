"""How far a run is, read from its journal alone."""
