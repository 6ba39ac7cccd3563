"""Image benchmarks."""
