"""Numbers with nouns that agree: "1 video", "2 videos"."""

__all__ = ["counted"]


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with thousands separators and its noun; `plural` where that is not the noun and "s"."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
