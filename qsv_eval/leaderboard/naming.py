"""Names of files that stand for names of tasks, which may be anything."""

import hashlib
import re

__all__ = ["digest", "file_name"]


def file_name(*parts: str) -> str:
    """Return a name of letters, digits, `-` and `_`; where the parts hold anything else, with a digest of them."""
    text = "-".join(parts)
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:80]
    return plain if plain == text else f"{plain}-{digest(text)}"


def digest(*parts: str) -> str:
    """Return 12 hex digits that stand for the parts."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:12]
