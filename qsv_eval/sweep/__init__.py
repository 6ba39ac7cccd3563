"""A grid of settings as one run: every video is read and seen once for all cells."""
