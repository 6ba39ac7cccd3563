"""From data files to micro-batches: sample format, mixture, shards, costs, batches and labels."""
