"""What ASGI requests and websockets leave behind, and what one without a call costs."""

import asyncio
import contextlib
import gc
import sys
from typing import Any

import pytest

import fanlight
from entry_trees import Told, told
from fanlight._entries import Entry
from fanlight.asgi import Middleware
from fanlight.testing import Captured

LARGEST_OF_AN_ENTRY = 50  # functions


def entries() -> set[int]:
    """Those that exist; an idle thread of another test's server may hold one."""
    return {id(one) for one in gc.get_objects() if type(one) is Entry}


async def nothing(*_: Any) -> None:
    return None


async def test_long_websocket_holds_no_message_that_is_over(captured: Captured) -> None:
    alive = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(20):
            await receive()
            alive.append(len(entries() - before))
            with fanlight.tool("search"):
                pass

    async def receive() -> dict[str, str]:
        return {"type": "websocket.receive"}

    before = entries()
    gc.disable()
    try:
        await Middleware(app)({"type": "websocket", "path": "/talk"}, receive, nothing)
    finally:
        gc.enable()
    assert max(alive) <= 3  # the first, the last, and that of the message
    assert told(captured, 20) == [Told("WEBSOCKET", below=("execute_tool search",))] * 20


@pytest.mark.parametrize("path", ["/", "/raises", "/step", "/declared", "/declared_later", "/carries"])
async def test_nothing_of_a_request_waits_for_the_garbage_collector(captured: Captured, path: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if path == "/raises":
            raise ValueError
        if path in ("/step", "/declared_later"):
            with fanlight.tool("search"):
                pass
        if path in ("/declared", "/declared_later"):
            with fanlight.action("answer"):
                pass
        if path == "/carries":
            fanlight.carrier()
        await send({"type": "http.response.body", "body": b"fine"})

    before = entries()
    gc.disable()
    try:
        with contextlib.suppress(ValueError):
            await Middleware(app)({"type": "http", "method": "GET", "path": path}, nothing, nothing)
        assert entries() <= before
    finally:
        gc.enable()


def test_request_without_a_call_costs_little(captured: Captured) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"fine"})

    headers = [(b"x-header-%d" % n, b"value") for n in range(12)]
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/health",
        "headers": headers,
        "client": ("127.0.0.1", 1),
    }

    def functions_of(served: Any) -> int:
        """How many functions one request runs."""
        called = 0

        def count(frame: object, event: str, argument: object) -> None:
            nonlocal called
            called += event == "call"

        async def run() -> None:
            await served(dict(scope), nothing, nothing)  # whatever is done once
            sys.setprofile(count)
            try:
                await served(dict(scope), nothing, nothing)
            finally:
                sys.setprofile(None)

        asyncio.run(run())
        return called

    added = functions_of(Middleware(app)) - functions_of(app)
    print(f"an entry without a call runs {added} functions")
    assert added < LARGEST_OF_AN_ENTRY
    assert captured.spans == []
