"""Benchmark data on disk: the schema of samples, the search for files, and conversion of official downloads.

Independent of lmms-eval, prompts and scores; torch is never loaded.
"""
