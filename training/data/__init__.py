"""Training data: sample format, mixtures, shards, costs, micro-batches and labels."""
