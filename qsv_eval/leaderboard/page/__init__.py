"""Page of a leaderboard: one HTML file that opens from disk, and data files that it loads on demand."""
