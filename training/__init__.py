"""Trains Quicksviewer in its three stages, by the code that also trains the tiny model of the package."""
