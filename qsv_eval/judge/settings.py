"""Settings of a judge: model, server, limits, price and cache."""

import os
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.files import cache_folder

__all__ = ["DEFAULT_URL", "JudgeSettings", "api_key"]

DEFAULT_URL: Final = "https://api.openai.com/v1"


class JudgeSettings(BaseModel):
    """A judge and the limits within which it is asked. The API key is no part of it: it stays in the environment."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    model: str = Field(min_length=1)
    """As the server knows it. Verdicts are kept under this name: give two local models two names."""
    url: str = DEFAULT_URL
    """Base of the server, ending in /v1."""
    concurrency: int = Field(16, ge=1)
    """Calls at the same time, at the most."""
    timeout_s: float = Field(60.0, gt=0)
    """For one request, from sending it to the last byte of its reply."""
    attempts: int = Field(8, ge=1)
    """Requests for one case, at the most, whatever goes wrong."""
    budget_tokens: int | None = Field(None, ge=0)
    """Input and output together. No call starts that could go beyond."""
    price: tuple[float, float] | None = None
    """Dollars for a million tokens of input, and of output."""
    json_mode: Literal["auto", "off"] = "auto"
    """"auto" asks the server to write JSON, and stops asking when it says that it cannot."""
    max_tokens: int | None = Field(None, ge=1)
    """Limit of tokens of one reply, instead of the rubric's; a judge that thinks before it answers needs thousands."""
    cache: Path = Field(default_factory=lambda: cache_folder("judge"))
    """Folder in which verdicts are kept."""

    @field_validator("url")
    @classmethod
    def _to_base(cls, url: str) -> str:
        """Take the address of the call itself as well, which some tools want under the same name."""
        if not url.startswith(("http://", "https://")):
            raise ValueError("is no address that starts with http:// or https://")
        return url.rstrip("/").removesuffix("/chat/completions")

    @classmethod
    def from_environment(cls, **given: Any) -> "JudgeSettings":
        """Check what was given, with the url from OPENAI_BASE_URL if none was; SetupError names what is wrong."""
        given = {name: value for name, value in given.items() if name != "url" or value is not None}
        if "url" not in given and os.environ.get("OPENAI_BASE_URL"):
            given["url"] = os.environ["OPENAI_BASE_URL"]
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            option = ".".join(map(str, first["loc"])) or "settings"
            raise SetupError(f"judge: {option}: {first['msg']}") from error

    def dollars(self, input_tokens: int, output_tokens: int) -> float | None:
        """Return the cost of tokens, or None without a price."""
        if self.price is None:
            return None
        return (input_tokens * self.price[0] + output_tokens * self.price[1]) / 1e6


def api_key(settings: JudgeSettings) -> str:
    """Return OPENAI_API_KEY. Servers other than OpenAI's may need none and get a word that is none."""
    key = os.environ.get("OPENAI_API_KEY", "").strip()
    if not key and settings.url == DEFAULT_URL:
        raise SetupError(
            f"judge {settings.model} at {settings.url}: OPENAI_API_KEY is not set. Set it, or name another server by "
            "OPENAI_BASE_URL (a local one needs no key)"
        )
    return key or "none"
