"""How a model meets the harness: the model itself, its frames, and the `lmms` adapter. Nothing heavy is imported here."""
