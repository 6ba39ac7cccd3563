"""Sweep over a grid of settings as one run: every video is read and encoded once for all variants."""
