"""Between the harness and the model: what to ask, what was answered, and what failed."""
