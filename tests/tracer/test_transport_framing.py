"""Answers as servers may frame them, read by every HTTP library to their end, and no further."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from fanlight.testing import Captured
from raw_server import raw_server
from span_trees import Node, described
from transport_drivers import DRIVERS, TransportDriver

ASK: dict[str, Any] = {"model": "m", "messages": []}
ANSWER = json.dumps(
    {"id": "c", "model": "m-1", "usage": {"prompt_tokens": 5, "completion_tokens": 2}}
).encode()
EVENT = b'data: {"id":"c","model":"m-1","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
LAST = b'data: {"id":"c","model":"m-1","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":3}}\n\n'
JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
EVENTS_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n\r\n"


@pytest.fixture(params=list(DRIVERS))
def transport(request: pytest.FixtureRequest) -> Iterator[TransportDriver]:
    made = DRIVERS[request.param]
    pytest.importorskip(made.module_name)
    with made() as driver:
        yield driver


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def sized(data: bytes) -> bytes:
    return b"content-length: %d\r\n\r\n%s" % (len(data), data)


WHOLE: dict[str, tuple[bytes, ...]] = {
    "its length": (JSON_HEAD + sized(ANSWER),),
    "its length, in pieces": (JSON_HEAD + sized(ANSWER)[:-20], ANSWER[-20:]),
    "until the connection ends": (JSON_HEAD + b"connection: close\r\n\r\n" + ANSWER[:9], ANSWER[9:]),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n" + ANSWER,),
    "a chunk": (JSON_HEAD + CHUNKED + chunk(ANSWER) + b"0\r\n\r\n",),
    "chunks, cut anywhere": tuple(
        part
        for data in [JSON_HEAD + CHUNKED + chunk(ANSWER[:7]) + chunk(ANSWER[7:]) + b"0\r\n\r\n"]
        for part in (data[:-90], data[-90:-82], data[-82:-4], data[-4:])
    ),
    "a trailer": (JSON_HEAD + CHUNKED + chunk(ANSWER) + b"0\r\nx-sum: 1\r\n\r\n",),
    "no content type": (b"HTTP/1.1 200 OK\r\n" + sized(ANSWER),),
    "100 first": (b"HTTP/1.1 100 Continue\r\n\r\n", JSON_HEAD + sized(ANSWER)),
}


@pytest.mark.parametrize("framing", WHOLE)
def test_a_whole_answer(transport: TransportDriver, captured: Captured, framing: str) -> None:
    with raw_server(*WHOLE[framing]) as url:
        answer = transport.post(f"{url}/v1/chat/completions", ASK)
        assert transport.rest(answer) == ANSWER
        transport.close_answer(answer)
    assert described(captured) == [
        Node("chat m").but(
            model="m",
            requests=1,
            http=200,
            outcome="answered",
            answered_by="m-1",
            usage="reported",
            input=5,
            output=2,
        )
    ]


STREAMS: dict[str, tuple[bytes, ...]] = {
    "chunks": (EVENTS_HEAD + CHUNKED, *[chunk(EVENT)] * 3, chunk(LAST) + b"0\r\n\r\n"),
    "chunks of half events": (
        EVENTS_HEAD + CHUNKED,
        *[chunk(EVENT[:40]), chunk(EVENT[40:] + EVENT[:9]), chunk(EVENT[9:] + EVENT), chunk(LAST)],
        b"0\r\n\r\n",
    ),
    "until the connection ends": (
        EVENTS_HEAD + b"connection: close\r\n\r\n",
        EVENT[:30],
        EVENT[30:] + EVENT,
        EVENT + LAST,
    ),
}


@pytest.mark.parametrize("framing", STREAMS)
def test_a_stream(transport: TransportDriver, captured: Captured, framing: str) -> None:
    with raw_server(*STREAMS[framing]) as url:
        answer = transport.post(f"{url}/v1/chat/completions", {**ASK, "stream": True})
        assert transport.rest(answer) == EVENT * 3 + LAST
        transport.close_answer(answer)
    (call,) = described(captured)
    assert (call.facts["stream_end"], call.facts["chunks"], call.facts["output"]) == ("completed", 3, 3)


BROKEN: dict[str, tuple[bytes, ...]] = {
    "shorter than its length": (JSON_HEAD + sized(ANSWER)[:-20],),
    "within a chunk": (JSON_HEAD + CHUNKED + chunk(ANSWER)[:-20],),
    "between chunks": (JSON_HEAD + CHUNKED + chunk(ANSWER[:20]),),
}


@pytest.mark.parametrize("framing", BROKEN)
def test_an_answer_that_breaks_off(transport: TransportDriver, captured: Captured, framing: str) -> None:
    with raw_server(*BROKEN[framing]) as url:
        answer = transport.post(f"{url}/v1/chat/completions", ASK)
        with contextlib.suppress(Exception):  # each has its own; requests over urllib3 1.26 may have none
            transport.rest(answer)
        transport.close_answer(answer)
    (call,) = described(captured)
    assert (call.facts["outcome"], call.facts["error"]) == (
        "unknown",
        "RemoteProtocolError" if "httpx" in transport.module_name else transport.names.cut,
    )
