"""Differences between the supported versions of transformers."""

from dataclasses import fields
from typing import Final

from transformers.modeling_outputs import BaseModelOutputWithPast

__all__ = ["CACHE"]

CACHE: Final = "cache" if "cache" in {field.name for field in fields(BaseModelOutputWithPast)} else "past_key_values"
"""Name of the key-value cache among a model's arguments and outputs: `past_key_values` before transformers 5.24."""
