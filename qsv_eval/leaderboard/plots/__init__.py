"""Plots of a leaderboard as PNG and SVG. The same results give the same bytes: no dates, no random names."""
