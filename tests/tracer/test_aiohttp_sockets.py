"""Model requests over aiohttp's own websockets: each response is a call, however its connection ends."""

import asyncio
import contextlib
import contextvars
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import fanlight
from fanlight import patches
from fanlight.testing import Captured
from mock_openai import CACHED_TOKENS, REASONING_TOKENS
from mock_sockets import SocketProvider, running_sockets
from span_trees import Node, described

aiohttp = pytest.importorskip("aiohttp")
pytest.importorskip("websockets")  # the mock provider's

ASK: dict[str, Any] = {"type": "response.create", "model": "m", "input": "one two"}


@pytest.fixture(scope="module")
def running() -> Iterator[SocketProvider]:
    with running_sockets() as provider:
        yield provider


@pytest.fixture
def sockets(running: SocketProvider) -> SocketProvider:
    running.forget()
    return running


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as connection:
        yield connection


async def until(connection: Any, kind: str) -> None:
    while (await connection.receive_json())["type"] != kind:
        pass


def answered(truth: Any, **facts: Any) -> Node:
    whole = {
        "model": "m",
        "answered_by": "m-2026",
        "finish": ("stop",),
        "requests": 1,
        "stream": True,
        "stream_end": "completed",
        "chunks": truth["sent"],
        "outcome": "answered",
        "http": 101,
        "usage": "reported",
        "input": truth["input_tokens"],
        "output": truth["output_tokens"],
        "cached": CACHED_TOKENS,
        "reasoning": REASONING_TOKENS,
    }
    return Node("chat m", whole).but(**facts)


def broken(truth: Any, body: Any, end: str, **facts: Any) -> Node:
    seen = {"usage": "estimated", "input": round(len(json.dumps(body)) / 4), "output": truth["sent"]}
    unknown = {"finish": None, "cached": None, "reasoning": None}
    return answered(truth, **{"stream_end": end, **seen, **unknown, **facts})


@pytest.mark.parametrize("way", ["json", "str", "bytes", "iteration"])
async def test_each_response_is_a_call(sockets: SocketProvider, captured: Captured, way: str) -> None:
    async with connected(f"{sockets.url}/v1/responses") as connection:
        for _ in range(2):
            with fanlight.action("answer"):
                if way == "bytes":
                    await connection.send_bytes(json.dumps(ASK).encode())
                elif way == "str":
                    await connection.send_str(json.dumps(ASK))
                else:
                    await connection.send_json(ASK)
                if way != "iteration":
                    await until(connection, "response.completed")
                    continue
                async for message in connection:
                    if json.loads(message.data)["type"] == "response.completed":
                        break
    truth = sockets.truth(2)
    assert described(captured) == [Node("answer", below=(answered(t),)) for t in truth]


async def test_realtime_has_its_model_in_the_query(sockets: SocketProvider, captured: Captured) -> None:
    async with connected(f"{sockets.url}/v1/realtime?model=m") as connection:
        await connection.send_json({"type": "response.create"})
        await until(connection, "response.done")
    (truth,) = sockets.truth(1)
    assert described(captured) == [answered(truth, answered_by=None, reasoning=None)]
    (span,) = captured.spans
    assert (span.attributes["server.address"], span.attributes["server.port"]) == ("127.0.0.1", sockets.port)


async def test_a_response_left_by_closing(sockets: SocketProvider, captured: Captured) -> None:
    body = {**ASK, "metadata": {"hang_after": "8"}}
    async with connected(f"{sockets.url}/v1/responses") as connection:
        await connection.send_json(body)
        for _ in range(4 + 8):
            await connection.receive()
    (truth,) = sockets.truth(1)
    assert described(captured) == [broken(truth, body, "closed")]


async def test_a_connection_that_is_cut(sockets: SocketProvider, captured: Captured) -> None:
    body = {**ASK, "metadata": {"cut_after": "3"}}
    async with connected(f"{sockets.url}/v1/responses") as connection:
        await connection.send_json(body)
        kinds = [message.type async for message in connection]
    assert set(kinds) == {aiohttp.WSMsgType.TEXT}
    (truth,) = sockets.truth(1)
    assert described(captured) == [broken(truth, body, "cut", outcome="unknown")]


async def test_a_wait_that_is_too_long_ends_nothing(sockets: SocketProvider, captured: Captured) -> None:
    async with connected(f"{sockets.url}/v1/responses") as connection:
        await connection.send_json({**ASK, "metadata": {"pace_ms": "30"}})
        with contextlib.suppress(asyncio.TimeoutError):
            while True:
                await connection.receive(timeout=0.01)
        assert captured.spans == []
        await until(connection, "response.completed")
    (truth,) = sockets.truth(1)
    assert described(captured) == [answered(truth)]


async def test_a_wait_may_be_dropped_where_it_did_not_begin(
    sockets: SocketProvider, captured: Captured
) -> None:
    """As the garbage collector drops it: outside the context in which it waited."""
    async with connected(sockets.url + "/responses") as connection:
        waiting = connection.receive()
        contextvars.copy_context().run(waiting.send, None)
        waiting.close()


async def test_other_connections_are_none(sockets: SocketProvider, captured: Captured) -> None:
    async with connected(f"{sockets.url}/v1/other") as connection:
        await connection.send_json(ASK)
        await until(connection, "response.completed")
    assert captured.spans == []


def test_uninstalling_leaves_nothing_behind() -> None:
    owner = aiohttp.client_ws.ClientWebSocketResponse
    names = ("send_str", "send_bytes", "receive", "close")
    before = {name: vars(owner)[name] for name in names}
    patches.install_all()
    assert all(vars(owner)[name] is not before[name] for name in names)
    patches.uninstall_all()
    assert {name: vars(owner)[name] for name in names} == before
