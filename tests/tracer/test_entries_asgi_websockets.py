"""Websockets of ASGI apps: each message that calls a model is an action by itself."""

import asyncio
from typing import Any

import pytest
from websockets.sync.client import connect

from asgi_agent import Agent, agent, url
from entry_trees import Told, told
from fanlight.asgi import Middleware
from fanlight.testing import Captured
from serving import served_asgi

__all__ = ["agent", "url"]  # fixtures


def test_each_websocket_message_that_calls_is_an_action(captured: Captured, url: str) -> None:
    with connect(url.replace("http", "ws") + "/talk/7") as client:
        for text in ("who", "quiet", "again", "bye"):
            client.send(text)
            assert client.recv() == text
    assert told(captured, 3) == [Told("WEBSOCKET /talk/{room}", user="u-socket")] * 3


@pytest.mark.parametrize("awaits", ["in a task", "itself"])
def test_websocket_app_may_wait_for_messages_in_a_task(captured: Captured, agent: Agent, awaits: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        for _ in range(2):
            message = await (asyncio.create_task(receive()) if awaits == "in a task" else receive())
            await agent.call()
            await send({"type": "websocket.send", "text": message["text"]})
        await send({"type": "websocket.close"})

    with served_asgi(Middleware(app)) as url, connect(url.replace("http", "ws")) as client:
        for text in ("one", "two"):
            client.send(text)
            assert client.recv() == text
    assert told(captured, 2) == [Told("WEBSOCKET")] * 2


def test_handlers_that_run_beside_each_other_keep_their_messages(captured: Captured, agent: Agent) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        both = asyncio.Event()

        async def handle() -> None:
            await both.wait()
            await agent.call()

        await receive()
        await send({"type": "websocket.accept"})
        handlers = []
        for _ in range(2):
            await receive()
            handlers.append(asyncio.create_task(handle()))
        both.set()
        await asyncio.gather(*handlers)
        await send({"type": "websocket.send", "text": "both"})
        await send({"type": "websocket.close"})

    with served_asgi(Middleware(app)) as url, connect(url.replace("http", "ws")) as client:
        client.send("one")
        client.send("two")
        assert client.recv() == "both"
    assert told(captured, 2) == [Told("WEBSOCKET")] * 2
