"""A judge on a real socket that can misbehave in every way that servers do, the same way on every run."""

import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from qsv_eval.judge import JudgeRequest, JudgeSettings

TROUBLES = ("429", "500", "timeout", "broken body", "truncated", "prose", "refusal", "out of range")


class Answer(NamedTuple):
    """What the server does with one request."""

    content: str | None = None
    status: int = 200
    error: tuple[tuple[str, str], ...] = (("message", "trouble"),)
    headers: tuple[tuple[str, str], ...] = ()
    hangs: bool = False
    """Sends nothing more until the server is closed; with `blanks`, a blank every moment."""
    blanks: bool = False
    breaks_off: bool = False
    hangs_up: bool = False
    """Closes the connection without a word."""
    usage: bool = True
    finish_reason: str = "stop"


@dataclass
class Seen:
    """One request, as the server saw it."""

    body: dict[str, Any]
    headers: dict[str, str]
    case: dict[str, str]
    """The texts between the delimiters, decoded."""
    nth: int
    """How often this case was asked before."""


@dataclass
class JudgeServer:
    """Runs while it is entered; `answer` may be replaced at any time."""

    answer: Callable[[Seen], Answer] = field(default=lambda seen: verdict(seen))
    requests: list[Seen] = field(default_factory=list)
    url: str = ""
    most_at_once: int = 0
    _at_once: int = 0
    _asked: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closing: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator["JudgeServer"]:
        server = _Server(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._closing.set()
            server.shutdown()
            server.server_close()

    @property
    def cases(self) -> set[str]:
        """The different cases it was asked."""
        return set(self._asked)

    def see(self, body: dict[str, Any], headers: dict[str, str]) -> Seen:
        text = body["messages"][-1]["content"]
        case = json.loads(text[text.index("<case>") + 6 : text.index("</case>")])
        with self._lock:
            key = json.dumps(case)
            seen = Seen(body, headers, case, self._asked[key])
            self._asked[key] += 1
            self.requests.append(seen)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        return seen

    def left(self) -> None:
        with self._lock:
            self._at_once -= 1

    def wait(self, seconds: float) -> bool:
        """Wait, and return whether the server is being closed."""
        return self._closing.wait(seconds)


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    block_on_close = False


def _handler(judge: JudgeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            seen = judge.see(body, {name.lower(): value for name, value in self.headers.items()})
            try:
                self.reply(judge.answer(seen), body)
            except OSError:  # the client has hung up
                self.close_connection = True
            finally:
                judge.left()

        def reply(self, answer: Answer, body: dict[str, Any]) -> None:
            if answer.hangs_up:
                self.close_connection = True
                return
            if answer.hangs:
                self.hang(blanks=answer.blanks)
                return
            data = json.dumps(
                _completion(answer, body) if answer.status == 200 else {"error": dict(answer.error)}
            ).encode()
            data = data[: len(data) // 2] if answer.breaks_off else data
            self.send_response(answer.status)
            for name, value in (("content-type", "application/json"), *answer.headers):
                self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def hang(self, *, blanks: bool) -> None:
            self.close_connection = True
            if blanks:
                self.send_response(200)
                self.end_headers()
            while not judge.wait(0.05):
                if blanks:
                    self.wfile.write(b" ")
                    self.wfile.flush()

    return Handler


def _completion(answer: Answer, body: dict[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": answer.content}
    usage = {"prompt_tokens": 300, "completion_tokens": 12, "total_tokens": 312}
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": f"{body['model']}-0125",
        "choices": [{"index": 0, "message": message, "finish_reason": answer.finish_reason}],
        **({"usage": usage} if answer.usage else {}),
    }


def make_cases(count: int) -> list[JudgeRequest]:
    """Cases with a number that the server can tell the right verdict from."""
    return [
        JudgeRequest(f"id{number}", "open_qa", {"question": "what?", "truth": "a cat", "reply": f"a cat {number}"})
        for number in range(count)
    ]


def number_of(seen: Seen) -> int:
    return int(seen.case["predicted_answer"].split()[-1])


def right(number: int) -> tuple[bool, float]:
    """The verdict of a well-behaved judge."""
    return number % 2 == 1, float(number % 6)


def verdict(seen: Seen) -> Answer:
    correct, score = right(number_of(seen))
    return Answer(json.dumps({"pred": "yes" if correct else "no", "score": int(score)}))


def misbehave(trouble: str, seen: Seen) -> Answer:
    good = verdict(seen)
    return {
        "429": Answer(status=429, headers=(("retry-after", "0"),)),
        "500": Answer(status=500),
        "timeout": Answer(hangs=True),
        "broken body": Answer(good.content, breaks_off=True),
        "truncated": Answer(good.content[:-4], finish_reason="length"),
        "prose": Answer("The answer matches in part, so I would say it deserves four or five."),
        "refusal": Answer("I am sorry, but I cannot help with that."),
        "out of range": Answer('{"pred": "yes", "score": 11}'),
    }[trouble]


def troubled(share: float, seed: int = 7) -> Callable[[Seen], Answer]:
    """Misbehave in a share of requests, chosen by case and turn alone: the order of arrival does not matter."""

    def answer(seen: Seen) -> Answer:
        dice = random.Random(f"{seed} {number_of(seen)} {seen.nth}")
        return misbehave(dice.choice(TROUBLES), seen) if dice.random() < share else verdict(seen)

    return answer


def settings_for(server: JudgeServer, cache: Any, **given: Any) -> JudgeSettings:
    return JudgeSettings(**{"model": "small-judge", "url": server.url, "cache": cache, "timeout_s": 20.0, **given})
