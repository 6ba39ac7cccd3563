"""MLVU."""
