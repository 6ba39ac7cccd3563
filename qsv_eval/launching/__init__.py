"""Several processes on this machine, their supervision, and how a run comes to an orderly stop."""
