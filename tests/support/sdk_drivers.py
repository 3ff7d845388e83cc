"""The same scenario on the sync and on the async client: `run` waits where there is something to wait for."""

from __future__ import annotations

import asyncio
import gc
import importlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import openai

MESSAGES = [
    {"role": "system", "content": "You are a careful assistant."},
    {"role": "user", "content": "Say something about the window."},
]


def http_library() -> Any:
    """What the installed SDK sends with: httpx2 from openai 3 on, httpx before."""
    return importlib.import_module("httpx2" if openai.VERSION >= "3" else "httpx")


class Driver(ABC):
    """Makes clients and runs what they do; closes them all at the end."""

    client_class: type[Any]

    def __init__(self) -> None:
        self._closers: list[Callable[[], object]] = []

    def client(self, url: str, **options: Any) -> Any:
        made = self.client_class(base_url=url, api_key="sk-secret", **options)
        self.at_end(made.close)
        return made

    def at_end(self, closer: Callable[[], object]) -> None:
        """Have something closed after the test."""
        self._closers.append(lambda: self.run(closer()))

    def close(self) -> None:
        for closer in self._closers:
            closer()

    def run(self, value: Any) -> Any:
        return value

    def collect_garbage(self) -> None:
        """What is out of reach is gone afterwards, and what its finalisers had to do is done."""
        gc.collect()

    @abstractmethod
    def take(self, stream: Any, count: int | None = None) -> list[Any]:
        """The first `count` items of a stream, and then break out of the loop."""

    @abstractmethod
    def within(self, manager: Any, body: Callable[[Any], Any]) -> Any:
        """Run `body` inside a (sync or async) context manager."""


class SyncDriver(Driver):
    client_class = openai.OpenAI

    def take(self, stream: Any, count: int | None = None) -> list[Any]:
        taken = []
        for item in stream:
            taken.append(item)
            if len(taken) == count:
                break
        return taken

    def within(self, manager: Any, body: Callable[[Any], Any]) -> Any:
        with manager as value:
            return body(value)


class AsyncDriver(Driver):
    client_class = openai.AsyncOpenAI

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()

    def close(self) -> None:
        super().close()
        self.loop.run_until_complete(self._cancel_what_is_left())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    async def _cancel_what_is_left(self) -> None:
        """As asyncio.run does: litellm leaves workers behind."""
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def collect_garbage(self) -> None:
        for _ in range(3):  # a generator's finaliser is a task of the loop, and may free the next one
            gc.collect()
            self.run(asyncio.sleep(0.01))
        gc.collect()

    def run(self, value: Any) -> Any:
        if not inspect.isawaitable(value):
            return value

        async def waiting() -> Any:
            return await value

        return self.loop.run_until_complete(waiting())

    def take(self, stream: Any, count: int | None = None) -> list[Any]:
        async def taking() -> list[Any]:
            taken = []
            async for item in stream:
                taken.append(item)
                if len(taken) == count:
                    break
            return taken

        return self.run(taking())

    def within(self, manager: Any, body: Callable[[Any], Any]) -> Any:
        value = self.run(manager.__aenter__())
        try:
            result = body(value)
        except BaseException as error:
            self.run(manager.__aexit__(type(error), error, error.__traceback__))
            raise
        self.run(manager.__aexit__(None, None, None))
        return result
