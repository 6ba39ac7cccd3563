"""Scores of several runs, side by side, and what their differences are worth."""
