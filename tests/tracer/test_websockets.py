"""Model requests over websockets: openai's responses and realtime, by the SDK and bare, sync and async."""

import asyncio
import contextlib
import gc
import importlib
import json
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest

import fanlight
from fanlight import patches
from fanlight.testing import Captured
from mock_openai import CACHED_TOKENS, REASONING_TOKENS
from mock_sockets import SocketProvider, running_sockets
from sdk_drivers import AsyncDriver, Driver, SyncDriver
from span_trees import Node, described

pytest.importorskip("websockets")

ASK: dict[str, Any] = {"type": "response.create", "model": "m", "input": "one two"}


@pytest.fixture(scope="module")
def running() -> Iterator[SocketProvider]:
    with running_sockets() as provider:
        yield provider


@pytest.fixture
def sockets(running: SocketProvider) -> SocketProvider:
    running.forget()
    return running


class Sockets:
    """A bare connection, driven like a sync one."""

    def __init__(self, driver: Driver, url: str) -> None:
        self._driver = driver
        if isinstance(driver, AsyncDriver):
            from websockets.asyncio.client import connect

            self.connection: Any = driver.run(self._connect(connect, url))
        else:
            from websockets.sync.client import connect as connect_sync

            self.connection = connect_sync(url).__enter__()

    async def _connect(self, connect: Any, url: str) -> Any:
        return await connect(url)

    def send(self, event: Any) -> None:
        self._driver.run(self.connection.send(json.dumps(event)))

    def recv(self, **options: Any) -> Any:
        return json.loads(self._driver.run(self.connection.recv(**options)))

    def until(self, kind: str) -> list[Any]:
        events = [self.recv()]
        while events[-1]["type"] != kind:
            events.append(self.recv())
        return events

    def close(self) -> None:
        self._driver.run(self.connection.close())


@pytest.fixture
def bare(driver: Driver, sockets: SocketProvider, captured: Captured) -> Iterator[Sockets]:
    made = Sockets(driver, f"{sockets.url}/v1/responses")
    yield made
    made.close()


def answered(truth: Any, **facts: Any) -> Node:
    node = Node(
        "chat m",
        {
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
        },
    )
    return node.but(**facts)


def broken(truth: Any, body: Any, end: str, **facts: Any) -> Node:
    """A response that was left off: what was seen counts, what was sent is estimated."""
    estimated = {"usage": "estimated", "input": round(len(json.dumps(body)) / 4), "output": truth["sent"]}
    unknown = {"finish": None, "cached": None, "reasoning": None}
    return answered(truth, **{"stream_end": end, **estimated, **unknown, **facts})


def test_each_response_is_a_call(bare: Sockets, sockets: SocketProvider, captured: Captured) -> None:
    for _ in range(2):
        with fanlight.action("answer"):
            bare.send(ASK)
            bare.until("response.completed")
    truth = sockets.truth(2)
    assert described(captured) == [Node("answer", below=(answered(t),)) for t in truth]


@pytest.mark.skipif(openai.VERSION < "3", reason="openai 2 has no websocket for responses")
def test_the_sdk_s_responses_connection(driver: Driver, sockets: SocketProvider, captured: Captured) -> None:
    client = driver.client(f"{sockets.http_url}/v1", websocket_base_url=f"{sockets.url}/v1")

    def ask(connection: Any) -> list[Any]:
        driver.run(connection.response.create(model="m", input="one two"))
        seen = []
        while not seen or seen[-1] != "response.completed":
            seen.append(driver.run(connection.recv()).type)
        return seen

    events = driver.within(client.responses.connect(), ask)
    (truth,) = sockets.truth(1)
    assert events.count("response.output_text.delta") == truth["sent"]
    assert described(captured) == [answered(truth)]


def test_the_sdk_s_realtime_connection(driver: Driver, sockets: SocketProvider, captured: Captured) -> None:
    client = driver.client(f"{sockets.http_url}/v1", websocket_base_url=f"{sockets.url}/v1")

    def ask(connection: Any) -> None:
        driver.run(connection.response.create())
        while driver.run(connection.recv()).type != "response.done":
            pass

    driver.within(client.realtime.connect(model="m"), ask)
    (truth,) = sockets.truth(1)
    assert described(captured) == [answered(truth, answered_by=None, reasoning=None)]


def test_a_response_that_the_server_begins_is_a_call(
    driver: Driver, sockets: SocketProvider, captured: Captured
) -> None:
    connection = Sockets(driver, f"{sockets.url}/v1/realtime?model=m")
    connection.send({"type": "input_audio_buffer.commit"})
    connection.until("response.done")
    connection.close()
    (truth,) = sockets.truth(1)
    assert described(captured) == [answered(truth, answered_by=None, reasoning=None)]


def test_the_input_of_a_conversation_is_not_estimated(
    driver: Driver, sockets: SocketProvider, captured: Captured
) -> None:
    connection = Sockets(driver, f"{sockets.url}/v1/realtime?model=m")
    connection.send({"type": "response.create", "response": {"metadata": {"hang_after": "2"}}})
    for _ in range(2 + 2):
        connection.recv()
    connection.close()
    (truth,) = sockets.truth(1)
    known = {"usage": "counted", "input": None, "output": truth["sent"]}
    assert described(captured) == [
        answered(
            truth, stream_end="closed", answered_by=None, finish=None, cached=None, reasoning=None, **known
        )
    ]


def test_audio_is_not_counted_as_text(driver: Driver, sockets: SocketProvider, captured: Captured) -> None:
    connection = Sockets(driver, f"{sockets.url}/v1/realtime?model=m")
    connection.send({"type": "response.create", "response": {"audio": True}})
    connection.until("response.done")
    connection.close()
    (truth,) = sockets.truth(1)
    assert described(captured) == [answered(truth, answered_by=None, reasoning=None, chunks=0)]
    assert "gen_ai.response.time_to_first_chunk" in captured.spans[0].attributes


def test_a_response_left_by_closing(bare: Sockets, sockets: SocketProvider, captured: Captured) -> None:
    body = {**ASK, "metadata": {"hang_after": "8"}}
    bare.send(body)
    for _ in range(4 + 8):
        bare.recv()
    bare.close()
    bare.close()
    (truth,) = sockets.truth(1)
    assert described(captured) == [broken(truth, body, "closed")]


def test_a_connection_that_is_cut(bare: Sockets, sockets: SocketProvider, captured: Captured) -> None:
    body = {**ASK, "metadata": {"cut_after": "3"}}
    bare.send(body)
    with pytest.raises(Exception, match="no close frame"):
        bare.until("response.completed")
    (truth,) = sockets.truth(1)
    assert described(captured) == [
        broken(truth, body, "cut", outcome="unknown", error="ConnectionClosedError")
    ]


def test_a_response_that_is_refused(bare: Sockets, captured: Captured) -> None:
    bare.send({**ASK, "metadata": {"error": "429"}})
    bare.until("error")
    assert described(captured) == [
        Node("chat m").but(model="m", requests=1, stream=True, http=429, outcome="refused", error="429")
    ]


def test_an_error_about_something_else_ends_nothing(
    driver: Driver, sockets: SocketProvider, captured: Captured
) -> None:
    connection = Sockets(driver, f"{sockets.url}/v1/realtime?model=m")
    connection.send({"type": "response.create", "event_id": "mine"})
    connection.send({"type": "bad", "event_id": "other"})
    connection.until("response.done")
    connection.close()
    (truth,) = sockets.truth(1)
    assert described(captured) == [answered(truth, answered_by=None, reasoning=None)]


def test_a_wait_that_is_too_long_ends_nothing(
    bare: Sockets, sockets: SocketProvider, driver: Driver, captured: Captured
) -> None:
    bare.send({**ASK, "metadata": {"pace_ms": "30"}})
    with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
        while True:
            if isinstance(driver, SyncDriver):
                bare.recv(timeout=0.01)
            else:
                driver.run(asyncio.wait_for(bare.connection.recv(), 0.01))
    assert captured.spans == []
    bare.until("response.completed")
    (truth,) = sockets.truth(1)
    assert described(captured) == [answered(truth)]


def test_lanes_are_kept_apart(bare: Sockets, sockets: SocketProvider, captured: Captured) -> None:
    bare.send({**ASK, "stream_id": "a", "max_output_tokens": 4, "metadata": {"pace_ms": "20"}})
    bare.send({**ASK, "stream_id": "b", "max_output_tokens": 9, "metadata": {"pace_ms": "1"}})
    ends = [bare.until("response.completed")[-1] for _ in range(2)]
    assert [end["stream_id"] for end in ends] == ["b", "a"]
    first, second = described(captured)
    assert [(call.facts["output"], call.facts["chunks"]) for call in (first, second)] == [(4, 4), (9, 9)]


def test_the_consumer_s_waits_are_kept_apart(bare: Sockets, captured: Captured) -> None:
    bare.send(ASK)
    bare.recv()
    time.sleep(0.3)
    bare.until("response.completed")
    (span,) = captured.spans
    assert 0.3 <= float(str(span.attributes["fanlight.stream.consumer_wait"])) < 0.6


def test_messages_received_in_pieces(
    bare: Sockets, sockets: SocketProvider, driver: Driver, captured: Captured
) -> None:
    bare.send(ASK)
    kind = ""
    while kind != "response.completed":
        pieces = driver.take(bare.connection.recv_streaming())
        kind = json.loads("".join(pieces))["type"]
    (truth,) = sockets.truth(1)
    assert described(captured) == [answered(truth)]


def test_a_response_held_at_the_end_of_the_process(bare: Sockets, captured: Captured) -> None:
    bare.send({**ASK, "metadata": {"hang_after": "2"}})
    for _ in range(4 + 2):
        bare.recv()
    patches.end_open_calls()
    (call,) = described(captured)
    assert (call.facts["stream_end"], call.facts["output"]) == ("abandoned", 2)


@pytest.mark.parametrize("path", ["/v1/other", "/chat"])
def test_other_connections_are_none(
    driver: Driver, sockets: SocketProvider, captured: Captured, path: str
) -> None:
    connection = Sockets(driver, sockets.url + path)
    connection.send(ASK)
    connection.until("response.completed")
    connection.close()
    assert captured.spans == []


@pytest.mark.parametrize("kind", ["sync", "asyncio"])
def test_uninstalling_leaves_nothing_behind(kind: str) -> None:
    owner = importlib.import_module(f"websockets.{kind}.client").ClientConnection
    before = {name: vars(owner).get(name) for name in ("send", "recv", "recv_streaming", "close")}
    patches.install_all()
    assert {name: vars(owner).get(name) for name in before} != before
    patches.uninstall_all()
    assert {name: vars(owner).get(name) for name in before} == before
    gc.collect()
