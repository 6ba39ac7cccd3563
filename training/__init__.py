"""Training of Quicksviewer in its three stages; the same code trains the package's tiny model."""
