"""LongVideoBench."""
