"""Client of a judge's server: one call, and the classification of its failures.

The openai client retries refused or broken requests (429, 5xx, a lost connection) with jitter and Retry-After; these
are not billed. A request that times out may be billed, so it is returned to the caller.
"""

import asyncio
from typing import Any, Final, NamedTuple

import openai
from openai.types.chat import ChatCompletion

from qsv_eval.judge.settings import JudgeSettings, api_key
from qsv_eval.judge.types import Message
from qsv_eval.model_adapters.errors import SetupError

__all__ = ["JudgeClient", "JudgeReply", "LateError", "UnansweredError"]

_FOR_ALL: Final = {
    401: "the key is not accepted; check OPENAI_API_KEY",
    403: "the key has no right to this model; check OPENAI_API_KEY",
    404: "there is no such model or address; check both, the url ends in /v1",
}
"""Statuses that concern all requests."""


class JudgeReply(NamedTuple):
    """A reply of the judge, with its usage."""

    text: str
    model: str
    """As the server names it."""
    input_tokens: int | None
    output_tokens: int | None
    is_cut_off: bool
    requests: int
    """Requests sent for this reply, retries included."""


class UnansweredError(Exception):
    """There is no reply, and asking again is of no use. The message says why."""

    def __init__(self, reason: str, *, is_silent: bool = False) -> None:
        super().__init__(reason)
        self.is_silent = is_silent
        """Whether nothing at all came back, as from a server that is down."""


class LateError(Exception):
    """A request ran out of time."""

    def __init__(self, requests: int) -> None:
        super().__init__(f"no reply in time after {requests} requests")
        self.requests = requests


class _TimedHttp(openai.DefaultAsyncHttpxClient):
    """Counts requests, and limits each as a whole: httpx limits the wait for a byte, and a server may send blanks."""

    limit_s: float
    requests = 0

    async def send(self, request: Any, **options: Any) -> Any:
        """Send a request and read its reply."""
        self.requests += 1
        try:
            async with asyncio.timeout(self.limit_s):
                return await super().send(request, **options)
        except TimeoutError as error:
            raise LateError(int(request.headers.get("x-stainless-retry-count", 0)) + 1) from error


class JudgeClient:
    """A connection to a judge, for one event loop."""

    def __init__(self, settings: JudgeSettings) -> None:
        """SetupError without the key that the server needs."""
        self._settings = settings
        self._key = api_key(settings)
        self._http = _TimedHttp(timeout=None)
        self._http.limit_s = settings.timeout_s
        self._client = openai.AsyncOpenAI(base_url=settings.url, api_key=self._key, http_client=self._http)
        self._unwanted: set[str] = {"response_format"} if settings.json_mode == "off" else set()

    @property
    def requests(self) -> int:
        """Requests sent so far."""
        return self._http.requests

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def ask(self, messages: list[Message], max_tokens: int, attempts: int) -> JudgeReply:
        """Ask once, repeating what fails on the way.

        Raises:
            LateError: a request ran out of time; the caller may ask again.
            UnansweredError: this request gets no reply.
            SetupError: no request can be answered (key, model, address, credit).
        """
        while True:
            options = self._options(max_tokens)
            try:
                client = self._client.with_options(max_retries=attempts - 1)
                raw = await client.chat.completions.with_raw_response.create(
                    model=self._settings.model,
                    messages=messages,  # type: ignore[arg-type]
                    **options,
                )
            except openai.APIStatusError as error:
                if not self._is_about_an_option(error, options):
                    raise self._meaning(error) from error
            except openai.APIConnectionError as error:
                cause = error.__cause__ or error
                if isinstance(cause, LateError):  # older versions of openai wrap whatever the transport raises
                    raise cause from None
                reason = f"no connection ({type(cause).__name__}: {cause})"
                raise UnansweredError(self._without_key(reason), is_silent=True) from error
            else:
                return _reply(raw, raw.retries_taken + 1)

    def _options(self, max_tokens: int) -> dict[str, Any]:
        options: dict[str, Any] = {
            "temperature": 0,
            "response_format": {"type": "json_object"},
            "max_tokens": max_tokens,
        }
        if "max_tokens" in self._unwanted:
            options["max_completion_tokens"] = max_tokens
        return {name: value for name, value in options.items() if name not in self._unwanted}

    def _is_about_an_option(self, error: openai.APIStatusError, options: dict[str, Any]) -> bool:
        """Whether the server rejected an option that the judge can do without; it is left out from now on."""
        if error.status_code not in (400, 422):
            return False
        unwanted = {name for name in options if error.param == name and str(error.code).startswith("unsupported")}
        if "response_format" in options and "response_format" in error.message:
            unwanted.add("response_format")
        self._unwanted |= unwanted
        return bool(unwanted)

    def _meaning(self, error: openai.APIStatusError) -> Exception:
        status = error.status_code
        judge = f"judge {self._settings.model} at {self._settings.url}"
        if status in _FOR_ALL:
            return SetupError(f"{judge}: {_FOR_ALL[status]} (status {status}). Verdicts so far are kept")
        if error.code == "insufficient_quota":
            return SetupError(f"{judge}: the account has no credit left (status {status}). Verdicts so far are kept")
        return UnansweredError(self._without_key(f"status {status}: {_server_message(error)}"))

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "***")[:200] if self._key != "none" else text[:200]


def _reply(raw: Any, requests: int) -> JudgeReply:
    """Read a reply. Of a body that is no chat completion nothing is left but an empty text, which is no verdict."""
    try:
        completion = raw.parse()
    except ValueError:  # JSON that breaks off
        completion = None
    if not isinstance(completion, ChatCompletion) or not completion.choices:
        return JudgeReply("", "", None, None, False, requests)
    choice, usage = completion.choices[0], completion.usage
    message = choice.message
    text = (message.content or getattr(message, "refusal", None) or "") if message else ""
    return JudgeReply(
        text=_encodable(text) if isinstance(text, str) else "",
        model=_encodable(completion.model or ""),
        input_tokens=usage.prompt_tokens if usage else None,
        output_tokens=usage.completion_tokens if usage else None,
        is_cut_off=choice.finish_reason == "length",
        requests=requests,
    )


def _server_message(error: openai.APIStatusError) -> str:
    """Return the server's own words, without the dictionary around them."""
    message = error.body.get("message") if isinstance(error.body, dict) else None
    return message if isinstance(message, str) else error.message


def _encodable(text: str) -> str:
    """Replace halves of characters, which JSON can bring and no file can hold."""
    return text.encode(errors="replace").decode()
