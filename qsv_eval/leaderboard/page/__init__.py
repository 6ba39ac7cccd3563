"""The leaderboard as a page: one HTML file that opens from disk, and side files that it loads when they are wanted."""
