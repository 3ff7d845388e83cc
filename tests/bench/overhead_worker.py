"""One process of the overhead bench: makes calls with the bare or the traced SDK and says how long they took.

    python tests/bench/overhead_worker.py bare|traced BASE_URL

Each line on standard input is `CASE COUNT`; each line on standard output is the seconds that COUNT calls
took.
"""

import asyncio
import contextlib
import sys
import time
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

import openai
from provider import answer_to

PROMPTS = {"short": "Say it in one sentence.", "100KB": "All work and no play. " * 4_655}


def http_library() -> ModuleType:
    """httpx2 below openai 3.x, httpx below 2.x."""
    return sys.modules[openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]]


def _in_memory(request: Any) -> Any:
    kind, body = answer_to(request.content)
    return http_library().Response(200, headers={"content-type": kind}, content=body)


def sync_client(transport: str, base_url: str) -> openai.OpenAI:
    http = openai.DefaultHttpxClient(transport=http_library().MockTransport(_in_memory))
    return openai.OpenAI(
        base_url=base_url, api_key="bench", http_client=http if transport == "memory" else None
    )


def async_client(transport: str, base_url: str) -> openai.AsyncOpenAI:
    http = openai.DefaultAsyncHttpxClient(transport=http_library().MockTransport(_in_memory))
    return openai.AsyncOpenAI(
        base_url=base_url, api_key="bench", http_client=http if transport == "memory" else None
    )


def _arguments(prompt: str) -> dict[str, Any]:
    return {"model": "bench-model", "messages": [{"role": "user", "content": PROMPTS[prompt]}]}


def _call(client: Any, prompt: str) -> None:
    client.chat.completions.create(**_arguments(prompt))


def _stream(client: Any, prompt: str) -> None:
    with client.chat.completions.create(**_arguments(prompt), stream=True) as stream:
        for _ in stream:
            pass


async def _call_async(client: Any, prompt: str) -> None:
    await client.chat.completions.create(**_arguments(prompt))


async def _stream_async(client: Any, prompt: str) -> None:
    async with await client.chat.completions.create(**_arguments(prompt), stream=True) as stream:
        async for _ in stream:
            pass


SYNC: dict[str, Callable[[Any, str], None]] = {"sync": _call, "sync-stream": _stream}
ASYNC: dict[str, Callable[[Any, str], Awaitable[None]]] = {
    "async": _call_async,
    "async-stream": _stream_async,
}


class Worker:
    """Clients for each transport, and the block of an action around a run of calls if they are traced."""

    def __init__(self, *, traced: bool, base_url: str) -> None:
        self._action: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext
        wrap: Callable[[Any], Any] = lambda client: client  # noqa: E731  two one-line choices side by side
        if traced:
            import fanlight  # the bare worker must not even load it

            fanlight.instrument()
            wrap = fanlight.wrap
            self._action = lambda: fanlight.action("bench", user="u-1", session="s-1")
        self._sync = {name: wrap(sync_client(name, base_url)) for name in ("memory", "http")}
        self._async = {name: wrap(async_client(name, base_url)) for name in ("memory", "http")}

    async def run(self, case: str, count: int) -> tuple[float, float]:
        """Seconds and CPU seconds of `count` calls, of a case such as `http sync-stream 100KB`."""
        transport, style, prompt = case.split()
        started, started_cpu = time.perf_counter(), time.process_time()
        with self._action():
            if style in SYNC:
                for _ in range(count):
                    SYNC[style](self._sync[transport], prompt)
            else:
                for _ in range(count):
                    await ASYNC[style](self._async[transport], prompt)
        return time.perf_counter() - started, time.process_time() - started_cpu


async def main() -> None:
    worker = Worker(traced=sys.argv[1] == "traced", base_url=sys.argv[2])
    while line := await asyncio.to_thread(sys.stdin.readline):
        case, _, count = line.strip().rpartition(" ")
        print(*await worker.run(case, int(count)), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
