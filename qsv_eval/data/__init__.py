"""Benchmarks on disk: one schema for their samples, where they lie, how their official layouts become samples.

Nothing here knows of lmms-eval, of prompts or of scores, and nothing loads torch.
"""
