"""NExT-QA."""
