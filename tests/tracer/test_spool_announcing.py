"""A call on its way lies in the spool before the server has its request, whatever it is sent with."""

import asyncio
import http.server
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import openai
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span

import fanlight
from fanlight_schema.spool.records import Kind, read_head, read_records
from otlp_receiver import OtlpReceiver, attributes_of
from sdk_drivers import MESSAGES, http_library
from transport_drivers import DRIVERS

BODY: dict[str, Any] = {"model": "m", "messages": MESSAGES}
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
MESSAGE = {"role": "assistant", "content": "A window."}
CHOICE = {"index": 0, "finish_reason": "stop", "message": MESSAGE}
ANSWER = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [CHOICE]}
CONVERSED = {
    "output": {"message": {"role": "assistant", "content": [{"text": "A window."}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 9, "outputTokens": 3, "totalTokens": 12},
    "metrics": {"latencyMs": 1},
}


def announced() -> list[Span]:
    """What the spool tells of open calls now, as whoever reads it after a death would find it."""
    found: list[Span] = []
    for path in Path(os.environ["FANLIGHT_SPOOL_DIR"]).glob("*"):
        with path.open("rb") as file:
            if read_head(file) is not None:
                for kind, payload in read_records(file):
                    if kind == Kind.OPEN:
                        found.extend(ScopeSpans.FromString(payload).spans)
    return [span for span in found if attributes_of(span)["fanlight.role"] == "call"]


class Witness:
    """A provider that looks into the spool when a request has come, and then answers."""

    def __init__(self) -> None:
        self.seen: list[list[Span]] = []
        witness = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                """Nothing."""

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                witness.seen.append(announced())
                body = json.dumps(CONVERSED if "/converse" in self.path else {**ANSWER, "usage": USAGE})
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def witness() -> Iterator[Witness]:
    made = Witness()
    yield made
    made.close()


def relay(module: Any, *, asynchronous: bool = False) -> Any:
    """A transport of httpx that fanlight does not know: what it sends goes over a socket of its own."""

    def answer(request: Any) -> Any:
        head = f"POST {request.url.path} HTTP/1.0\r\ncontent-length: {len(request.content)}\r\n\r\n"
        with socket.create_connection((request.url.host, request.url.port)) as connection:
            connection.sendall(head.encode() + request.content)
            _, _, body = b"".join(iter(lambda: connection.recv(65536), b"")).partition(b"\r\n\r\n")
        return module.Response(200, content=body, headers={"content-type": "application/json"})

    async def answer_async(request: Any) -> Any:
        await request.aread()
        return await asyncio.to_thread(answer, request)

    return module.MockTransport(answer_async if asynchronous else answer)


def over_own_transport(url: str) -> None:
    module = http_library()
    with module.Client(transport=relay(module)) as client:
        client.post(f"{url}/v1/chat/completions", json=BODY)


def over_own_async_transport(url: str) -> None:
    module = http_library()

    async def ask() -> None:
        async with module.AsyncClient(transport=relay(module, asynchronous=True)) as client:
            await client.post(f"{url}/v1/chat/completions", json=BODY)

    asyncio.run(ask())


def over_a_transport_without_a_client(url: str) -> None:
    module = http_library()
    with module.HTTPTransport() as transport:
        response = transport.handle_request(module.Request("POST", f"{url}/v1/chat/completions", json=BODY))
        response.read()


def over_a_subclass(url: str) -> None:
    """It is known, but not whether it sends by the method that is watched."""
    module = http_library()
    made = type("Retrying", (module.HTTPTransport,), {})
    with module.Client(transport=made()) as client:
        client.post(f"{url}/v1/chat/completions", json=BODY)


def over_an_sdks_own_transport(url: str) -> None:
    module = http_library()
    with openai.OpenAI(
        base_url=f"{url}/v1", api_key="k", http_client=module.Client(transport=relay(module))
    ) as client:
        client.chat.completions.create(**BODY)


def over_boto3(url: str) -> None:
    boto3 = pytest.importorskip("boto3")
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="fake",
        aws_secret_access_key="fake",
    )
    client.converse(modelId="m", messages=[{"role": "user", "content": [{"text": "Say something."}]}])


def over(name: str) -> Callable[[str], None]:
    def ask(url: str) -> None:
        pytest.importorskip(DRIVERS[name].module_name)
        with DRIVERS[name]() as transport:
            transport.ask(f"{url}/v1/chat/completions", BODY)

    return ask


WAYS: Mapping[str, Callable[[str], None]] = {
    **{name: over(name) for name in DRIVERS},
    "own transport": over_own_transport,
    "own async transport": over_own_async_transport,
    "transport alone": over_a_transport_without_a_client,
    "subclass": over_a_subclass,
    "an SDK's own transport": over_an_sdks_own_transport,
    "boto3": over_boto3,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_call_is_announced_before_it_is_sent(collector: OtlpReceiver, witness: Witness, way: str) -> None:
    fanlight.instrument()
    with fanlight.action("ask"):
        WAYS[way](witness.url)
    ((*_, last),) = witness.seen
    assert last.name == "chat m"
    told = attributes_of(last)
    assert (told["fanlight.requests"], told["fanlight.request.outcome"]) == (1, "unknown")
    assert told["error.type"] == "process_died"
    assert fanlight.flush()
    assert sorted(collector.names) == ["ask", "chat m"]
    assert announced() == []
