"""Asynchronous work run from synchronous code, on any thread and inside a running event loop (a notebook)."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

__all__ = ["run_async"]

_T = TypeVar("_T")


def run_async(work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Run `work()` to its end in an event loop of its own. An interrupt cancels it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work())
    return _on_a_thread(work)


def _on_a_thread(work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[_T]]] = []

    async def noted() -> _T:
        task = asyncio.ensure_future(work())
        running.append((asyncio.get_running_loop(), task))
        return await task

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="judge") as pool:
        future = pool.submit(lambda: asyncio.run(noted()))
        try:
            return future.result()
        except KeyboardInterrupt:
            # Leaving the pool waits for the thread, and that would go on asking.
            for loop, task in running:
                with contextlib.suppress(RuntimeError):  # the loop has just closed
                    loop.call_soon_threadsafe(task.cancel)
            raise
