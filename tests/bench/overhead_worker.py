"""One process of the overhead bench: makes calls with the bare or a traced SDK and says how long they took.

    python tests/bench/overhead_worker.py TRACER SERVER_URL

Each line on standard input is `CASE COUNT`; each line on standard output is what COUNT calls took, in
seconds: by the clock, of the process's CPU, and of the CPU of the thread that called.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

import openai
import tracers
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

    def __init__(self, tracer: str, server: str) -> None:
        self._action = tracers.SWITCH_ON[tracer](server)
        self._sync = {name: sync_client(name, f"{server}/v1") for name in ("memory", "http")}
        self._async = {name: async_client(name, f"{server}/v1") for name in ("memory", "http")}

    async def run(self, case: str, count: int) -> tuple[float, float, float]:
        """What `count` calls took, of a case such as `http sync-stream 100KB`."""
        transport, style, prompt = case.split()
        started = time.perf_counter(), time.process_time(), time.thread_time()
        with self._action():
            if style in SYNC:
                for _ in range(count):
                    SYNC[style](self._sync[transport], prompt)
            else:
                for _ in range(count):
                    await ASYNC[style](self._async[transport], prompt)
        ended = time.perf_counter(), time.process_time(), time.thread_time()
        clock_s, process_s, thread_s = (end - start for start, end in zip(started, ended, strict=True))
        return clock_s, process_s, thread_s


async def main() -> None:
    worker = Worker(sys.argv[1], sys.argv[2])
    while line := await asyncio.to_thread(sys.stdin.readline):
        case, _, count = line.strip().rpartition(" ")
        print(*await worker.run(case, int(count)), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
