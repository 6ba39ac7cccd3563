"""The course of quicksviewer-tiny, what it can do at its end, and the card that says so."""
