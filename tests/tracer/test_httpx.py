"""Model requests that no SDK sends: bare httpx and httpx2, told by path and body."""

import contextlib
import gzip
import json
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest

import fanlight
from fanlight.testing import Captured
from mock_provider import Fault, Provider
from sdk_drivers import MESSAGES
from span_trees import Node, described, plain_call, stream_call

BODY: dict[str, Any] = {"model": "m", "messages": MESSAGES}


@pytest.fixture(params=["httpx", "httpx2"])
def httpx(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(request.param)


def test_a_bare_request_is_a_call(provider: Provider, captured: Captured, httpx: Any) -> None:
    url = provider.scenario()
    with fanlight.action("answer"):
        answer = httpx.post(f"{url}/chat/completions", json=BODY).json()
    (truth,) = provider.truth(url, expect=1)
    assert answer["usage"]["prompt_tokens"] == truth.input_tokens
    assert described(captured) == [Node("answer", below=(plain_call(truth),))]


async def test_a_bare_async_request_is_a_call(provider: Provider, captured: Captured, httpx: Any) -> None:
    url = provider.scenario()
    async with httpx.AsyncClient() as client:
        await client.post(f"{url}/chat/completions", json=BODY)
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [plain_call(truth)]


def test_a_bare_stream_is_a_call(provider: Provider, captured: Captured, httpx: Any) -> None:
    url = provider.scenario()
    body = {**BODY, "stream": True, "stream_options": {"include_usage": True}}
    with httpx.Client() as client, client.stream("POST", f"{url}/chat/completions", json=body) as response:
        lines = list(response.iter_lines())
    (truth,) = provider.truth(url, expect=1)
    assert "data: [DONE]" in lines
    assert described(captured) == [
        plain_call(truth, stream=True, stream_end="completed", chunks=truth.events_sent)
    ]


async def test_a_bare_async_stream_left_early(provider: Provider, captured: Captured, httpx: Any) -> None:
    url = provider.scenario(Fault(pace_s=0.005))
    body = {**BODY, "stream": True}
    async with (
        httpx.AsyncClient() as client,
        client.stream("POST", f"{url}/chat/completions", json=body) as response,
    ):
        seen = 0
        async for line in response.aiter_lines():
            seen += '"content":"word' in line
            if seen == 8:
                break
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [stream_call(truth, "closed", finish=None, chunks=8, output=8)]


def test_a_bare_request_that_fails(provider: Provider, captured: Captured, httpx: Any) -> None:
    url = provider.scenario(Fault(status=429))
    httpx.post(f"{url}/chat/completions", json=BODY)
    assert described(captured) == [
        Node("chat m").but(model="m", requests=1, http=429, outcome="refused", error="429")
    ]


def test_a_bare_request_that_cannot_connect(captured: Captured, httpx: Any) -> None:
    with pytest.raises(httpx.ConnectError):
        httpx.post("http://127.0.0.1:1/v1/chat/completions", json=BODY)
    assert described(captured) == [
        Node("chat m").but(model="m", requests=1, outcome="refused", error="ConnectError")
    ]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/models", None),
        ("GET", "/v1/responses/resp_1", None),
        ("POST", "/v1/responses", {"survey": 7, "answers": ["yes"]}),
        ("POST", "/v1/files", {"purpose": "batch"}),
        ("POST", "/v1/responses/input_tokens", {"model": "m", "input": "one"}),
        ("POST", "/v1/responses/resp_1/cancel", {}),
        ("POST", "/v1/traces", {"resourceSpans": []}),
        ("POST", "/v1/chat/completions", ["not", "an", "object"]),
    ],
)
def test_other_requests_are_none(
    provider: Provider, captured: Captured, httpx: Any, method: str, path: str, body: Any
) -> None:
    httpx.request(method, provider.scenario(end="") + path, json=body)
    assert described(captured) == []


def test_a_deployment_in_the_path_is_the_model(provider: Provider, captured: Captured, httpx: Any) -> None:
    url = provider.scenario(end="/openai/deployments/gpt-x")
    httpx.post(f"{url}/chat/completions?api-version=2026-01-01", json={"messages": MESSAGES})
    (call,) = described(captured)
    assert call.name == "chat gpt-x"


def test_redirects_are_one_request(provider: Provider, captured: Captured, httpx: Any) -> None:
    target = provider.scenario()
    url = provider.scenario(Fault(status=308, headers={"location": f"{target}/chat/completions"}))
    httpx.post(f"{url}/chat/completions", json=BODY, follow_redirects=True)
    (truth,) = provider.truth(target, expect=1)
    assert described(captured) == [plain_call(truth)]


def test_any_transport_is_seen(captured: Captured, httpx: Any) -> None:
    def handle(request: Any) -> Any:
        return httpx.Response(200, json={"id": "c", "model": "m-1", "usage": {"prompt_tokens": 5}})

    with httpx.Client(transport=httpx.MockTransport(handle)) as client:
        client.post("http://model/v1/chat/completions", json=BODY)
    assert described(captured) == [
        Node("chat m").but(
            model="m", requests=1, http=200, outcome="answered", answered_by="m-1", usage="reported", input=5
        )
    ]


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("made-up", bytes),
        ("gzip, made-up", gzip.compress),
        ("deflate, gzip", lambda data: gzip.compress(zlib.compress(data))),
    ],
)
def test_any_content_encoding_is_read_as_the_client_reads_it(
    captured: Captured, httpx: Any, encoding: str, encode: Callable[[bytes], bytes]
) -> None:
    answer = b'{"id": "c", "model": "m-1", "usage": {"prompt_tokens": 5}}'

    def handle(request: Any) -> Any:
        stream = httpx.ByteStream(encode(answer))
        headers = {"content-encoding": encoding, "content-type": "application/json"}
        return httpx.Response(200, headers=headers, stream=stream)

    with httpx.Client(transport=httpx.MockTransport(handle)) as client:
        assert client.post("http://model/v1/chat/completions", json=BODY).content == answer
    (call,) = described(captured)
    assert (call.facts["outcome"], call.facts["input"]) == ("answered", 5)


def test_a_transport_over_another_client_is_one_request(
    provider: Provider, captured: Captured, httpx: Any
) -> None:
    url = provider.scenario()

    class Over(httpx.BaseTransport):  # type: ignore[misc]
        def __init__(self) -> None:
            self.inner = httpx.Client()

        def handle_request(self, request: Any) -> Any:
            response = self.inner.post(str(request.url), content=request.read(), headers=request.headers)
            return httpx.Response(response.status_code, content=response.content)

        def close(self) -> None:
            self.inner.close()

    with httpx.Client(transport=Over()) as client:
        client.post(f"{url}/chat/completions", json=BODY)
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [plain_call(truth)]


def test_a_call_that_another_server_took_over_names_no_port_of_the_first(
    captured: Captured, httpx: Any
) -> None:
    first, second = "http://127.0.0.1:9/v1/chat/completions", "http://model.invalid/v1/chat/completions"

    class Failover(httpx.BaseTransport):  # type: ignore[misc]
        def handle_request(self, request: Any) -> Any:
            with httpx.HTTPTransport() as transport, contextlib.suppress(httpx.ConnectError):
                transport.handle_request(request)
            with httpx.HTTPTransport() as transport:
                return transport.handle_request(httpx.Request("POST", second, json=BODY))

    with httpx.Client(transport=Failover()) as client, pytest.raises(httpx.ConnectError):
        client.post(first, json=BODY)
    (call,) = captured.with_role("call")
    assert call.attributes["server.address"] == "model.invalid"
    assert "server.port" not in call.attributes


def test_a_transport_used_alone_is_seen(provider: Provider, captured: Captured, httpx: Any) -> None:
    url = provider.scenario()
    with httpx.HTTPTransport() as transport:
        request = httpx.Request("POST", f"{url}/chat/completions", json=BODY)
        response = transport.handle_request(request)
        json.loads(response.read())
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [plain_call(truth)]


def test_an_answer_out_of_a_cache_was_no_request(captured: Captured, httpx: Any) -> None:
    def handle(request: Any) -> Any:
        return httpx.Response(200, json={"id": "c"}, extensions={"from_cache": True})

    with httpx.Client(transport=httpx.MockTransport(handle)) as client:
        client.post("http://model/v1/chat/completions", json=BODY)
    assert described(captured) == []


def test_suppressed_code_is_not_recorded(provider: Provider, captured: Captured, httpx: Any) -> None:
    from opentelemetry import context

    url = provider.scenario()
    token = context.attach(context.set_value("suppress_instrumentation", True))
    httpx.post(f"{url}/chat/completions", json=BODY)
    context.detach(token)
    assert described(captured) == []


def test_elapsed_is_still_there(provider: Provider, captured: Captured, httpx: Any) -> None:
    url = provider.scenario(Fault(delay_s=0.05))
    started = time.monotonic()
    response = httpx.post(f"{url}/chat/completions", json=BODY)
    assert 0.04 < response.elapsed.total_seconds() <= time.monotonic() - started


def test_the_call_is_current_while_it_runs(captured: Captured, httpx: Any) -> None:
    from opentelemetry import trace

    current = []

    def handle(request: Any) -> Any:
        current.append(trace.get_current_span().get_span_context().span_id)
        return httpx.Response(200, json={"id": "c"})

    with httpx.Client(transport=httpx.MockTransport(handle)) as client:
        client.post("http://model/v1/chat/completions", json=BODY)
    assert [f"{span_id:016x}" for span_id in current] == [captured.spans[0].span_id]
    assert not trace.get_current_span().get_span_context().is_valid
