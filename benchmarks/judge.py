"""Time of 500 verdicts from a judge with a latency of 300 ms, 16 requests at a time, against the ideal.

    python benchmarks/judge.py

The judge is a local server process that waits and returns a fixed verdict. The ideal is 500 * 0.3 s / 16. Each round
starts with an empty cache. The import of the openai client is measured separately.
"""

import asyncio
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from qsv_eval.judge import JudgeRequest, JudgeSettings, judge_requests

VERDICTS = 500
LATENCY_S = 0.3
CONCURRENCY = 16
ROUNDS = 3

COMPLETION = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "slow-judge",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": '{"pred": "yes", "score": 4}'},
        }
    ],
    "usage": {"prompt_tokens": 300, "completion_tokens": 12, "total_tokens": 312},
}


def serve(connection: Connection) -> None:
    body = json.dumps(COMPLETION).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                headers = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = next(line for line in headers.split(b"\r\n") if line.startswith(b"content-length:"))
                await reader.readexactly(int(length.partition(b":")[2]))
                await asyncio.sleep(LATENCY_S)
                writer.write(head + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):  # the client has closed
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        connection.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def judge_all(port: int) -> float:
    requests = [
        JudgeRequest(f"{n}", "open_qa", {"question": "what is it?", "truth": "a cat", "reply": f"cat number {n}"})
        for n in range(VERDICTS)
    ]
    with tempfile.TemporaryDirectory() as cache:
        settings = JudgeSettings(
            model="slow-judge", url=f"http://127.0.0.1:{port}/v1", concurrency=CONCURRENCY, cache=Path(cache)
        )
        start = time.perf_counter()
        judged = judge_requests(requests, settings, progress=False)
        seconds = time.perf_counter() - start
    assert judged.complete
    assert judged.accounting.calls == VERDICTS
    return seconds


def main() -> None:
    start = time.perf_counter()
    import openai  # noqa: F401

    print(f"import openai: {time.perf_counter() - start:.2f} s")
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    port = ours.recv()
    ideal = VERDICTS * LATENCY_S / CONCURRENCY
    rounds = [judge_all(port) for _ in range(ROUNDS)]
    server.terminate()
    median = statistics.median(rounds)
    print(
        f"{VERDICTS} verdicts at {LATENCY_S * 1000:.0f} ms, {CONCURRENCY} at a time: {median:.2f} s, "
        f"{median / ideal:.2f} of the ideal {ideal:.2f} s"
    )
    print(f"(median of {ROUNDS} rounds: {', '.join(f'{seconds:.2f}' for seconds in rounds)} s)")


if __name__ == "__main__":
    main()
