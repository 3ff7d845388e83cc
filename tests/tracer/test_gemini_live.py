"""Gemini's Live API through google-genai: each turn of the model is a call."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

import fanlight
from fanlight.capture.live_events import asks, leads_to_live
from fanlight.testing import Captured
from mock_sockets import SocketProvider, running_sockets
from sdks import imported
from span_trees import Node, described

pytest.importorskip("websockets")
pytestmark = pytest.mark.filterwarnings("ignore")  # the SDK's own

TOKENS = {"usage": "reported", "reasoning": 5}


@pytest.fixture(scope="module")
def running() -> Iterator[SocketProvider]:
    with running_sockets() as provider:
        yield provider


@pytest.fixture
def sockets(running: SocketProvider) -> SocketProvider:
    running.forget()
    return running


@pytest.fixture
async def client(sockets: SocketProvider) -> AsyncIterator[Any]:
    made = imported("google.genai").Client(api_key="sk-secret", http_options={"base_url": sockets.http_url})
    made._api_client._websocket_base_url = lambda *_: sockets.url  # it knows only wss
    made._api_client._websocket_ssl_ctx = {}
    yield made
    if hasattr(made.aio, "aclose"):
        await made.aio.aclose()


def connected(client: Any, modality: str = "TEXT") -> AbstractAsyncContextManager[Any]:
    session: AbstractAsyncContextManager[Any] = client.aio.live.connect(
        model="m", config={"response_modalities": [modality]}
    )
    return session


def answered(truth: Any, **facts: Any) -> Node:
    whole = {
        "model": "m",
        "requests": 1,
        "stream": True,
        "stream_end": "completed",
        "chunks": truth["sent"],
        "outcome": "answered",
        "http": 101,
        "input": truth["input_tokens"],
        "output": truth["output_tokens"],
        **TOKENS,
    }
    return Node("generate_content m", whole).but(**facts)


async def say(session: Any, text: str, *, complete: bool = True) -> None:
    turns = [{"role": "user", "parts": [{"text": text}]}]
    await session.send_client_content(turns=turns, turn_complete=complete)


async def hear(session: Any) -> list[Any]:
    return [message async for message in session.receive()]


async def test_each_turn_is_a_call(client: Any, sockets: SocketProvider, captured: Captured) -> None:
    async with connected(client) as session:
        for _ in range(2):
            with fanlight.action("answer"):
                await say(session, "one", complete=False)
                await say(session, "two")
                assert len(await hear(session)) == 26
    truth = sockets.truth(2)
    assert described(captured) == [Node("answer", below=(answered(t),)) for t in truth]
    assert "sk-secret" not in str([span.attributes for span in captured.spans])


async def test_a_turn_that_the_server_begins_is_a_call(
    client: Any, sockets: SocketProvider, captured: Captured
) -> None:
    async with connected(client, "AUDIO") as session:
        await session.send_realtime_input(text="the end, with sound")
        await hear(session)
    (truth,) = sockets.truth(1)
    assert described(captured) == [answered(truth, chunks=0)]
    assert "gen_ai.response.time_to_first_chunk" in captured.spans[0].attributes


async def test_a_call_of_a_tool_ends_a_request_and_its_result_begins_the_next(
    client: Any, sockets: SocketProvider, captured: Captured
) -> None:
    async with connected(client) as session:
        await say(session, "call f")
        async for message in session.receive():
            if message.tool_call:
                break
        await session.send_tool_response(function_responses=[{"id": "1", "name": "f", "response": {"a": 1}}])
        await hear(session)
    first, second = sockets.truth(2)
    assert described(captured) == [answered(first, finish=("tool_call",)), answered(second)]


async def test_a_turn_that_is_left(client: Any, sockets: SocketProvider, captured: Captured) -> None:
    async with connected(client) as session:
        await say(session, "hang")
        for _ in range(3):
            await asyncio.wait_for(session._receive(), 5)
    (truth,) = sockets.truth(1)
    unknown = {"input": None, "reasoning": None}
    seen = {"usage": "counted", "output": truth["sent"], "stream_end": "closed"}
    assert described(captured) == [answered(truth, **unknown, **seen)]


def test_what_leads_there_and_what_asks() -> None:
    service = "/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent"
    assert leads_to_live(service)
    assert leads_to_live("/ws/google.ai.generativelanguage.v1.GenerativeService.BidiGenerateContent?key=k")
    assert not leads_to_live("/v1/realtime?model=BidiGenerateContent")
    assert asks(b'{"clientContent": {"turnComplete": true}}')
    assert asks(b'{"toolResponse": {}}')
    assert not asks(b'{"client_content": {"turns": []}}')
    assert not asks(b'{"realtimeInput": {"text": "turnComplete true"}}')
