"""ActivityNet-QA."""
