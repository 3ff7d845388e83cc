"""What is particular to one HTTP library: its ways to read, its retries, cancelling, one client alone."""

import asyncio
import importlib
import io
import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import openai
import pytest

import fanlight.testing
from fanlight import _guard, patches
from fanlight.testing import Captured
from mock_provider import Fault, Provider
from sdk_drivers import MESSAGES
from span_trees import Node, described, estimated, plain_call, said, stream_call
from transport_drivers import Aiohttp, HttpClient, Requests, TransportDriver, Urllib3, UrllibRequest

BODY: dict[str, Any] = {"model": "m", "messages": MESSAGES}
STREAM = {**BODY, "stream": True}
Read = Callable[[Any], bytes]


@pytest.fixture
def unpatched() -> Iterator[Captured]:
    """Spans are recorded, but no client is patched."""
    _guard.raise_errors(True)
    with fanlight.testing.capture() as spans:
        yield spans
    _guard.raise_errors(False)
    patches.uninstall_all()


def streamed(provider: Provider, made: type[TransportDriver], read: Read, captured: Captured) -> None:
    """Any way to read a stream gives all of it, to the app and to its span."""
    pytest.importorskip(made.module_name)
    url = provider.scenario()
    with made() as transport:
        answer = transport.post(f"{url}/chat/completions", STREAM)
        assert read(answer.response).count(b'"content":"word ') == 25
        (truth,) = provider.truth(url, expect=1)
        transport.close_answer(answer)
    assert described(captured) == [stream_call(truth, "completed", chunks=25)]


def until_empty(read: Callable[[], bytes]) -> bytes:
    return b"".join(iter(read, b""))


def by_readinto(response: Any) -> bytes:
    buffer, parts = bytearray(100), []
    while count := response.readinto(buffer):
        parts.append(bytes(buffer[:count]))
    return b"".join(parts)


HTTP_CLIENT: dict[str, Read] = {
    "read": lambda response: response.read(),
    "read some": lambda response: until_empty(lambda: response.read(100)),
    "read1": lambda response: until_empty(lambda: response.read1(100)),
    "readinto": by_readinto,
    "readline": lambda response: until_empty(response.readline),
    "iteration": b"".join,
    "buffered": lambda response: io.BufferedReader(response).read(),
}
URLLIB3: dict[str, Read] = {
    "read": lambda response: response.read(),
    "read some": lambda response: until_empty(lambda: response.read(100)),
    "data": lambda response: response.data,
    "stream": lambda response: b"".join(response.stream(64)),
    "read_chunked": lambda response: b"".join(response.read_chunked()),
}
REQUESTS: dict[str, Read] = {
    "content": lambda response: response.content,
    "iter_content": lambda response: b"".join(response.iter_content(64)),
    "iter_content as it comes": lambda response: b"".join(response.iter_content(None)),
    "iter_lines": lambda response: b"\n".join(response.iter_lines()),
    "raw": lambda response: response.raw.read(),
}


@pytest.mark.parametrize("way", HTTP_CLIENT)
@pytest.mark.parametrize("made", [HttpClient, UrllibRequest])
def test_every_way_to_read_http_client(
    provider: Provider, captured: Captured, made: type[TransportDriver], way: str
) -> None:
    streamed(provider, made, HTTP_CLIENT[way], captured)


@pytest.mark.parametrize("way", URLLIB3)
def test_every_way_to_read_urllib3(provider: Provider, captured: Captured, way: str) -> None:
    streamed(provider, Urllib3, URLLIB3[way], captured)


@pytest.mark.parametrize("way", REQUESTS)
def test_every_way_to_read_requests(provider: Provider, captured: Captured, way: str) -> None:
    streamed(provider, Requests, REQUESTS[way], captured)


async def _some(content: Any) -> bytes:
    parts = []
    while part := await content.read(100):
        parts.append(part)
    return b"".join(parts)


async def _exactly(content: Any) -> bytes:
    try:
        return bytes(await content.readexactly(10**6))
    except asyncio.IncompleteReadError as error:
        return error.partial


async def _nowait(content: Any) -> bytes:
    first: bytes = await content.readany()
    return first + content.read_nowait() + await content.read()


async def _joined(parts: Any) -> bytes:
    return b"".join([part if isinstance(part, bytes) else part[0] async for part in parts])


AIOHTTP: dict[str, Callable[[Any], Any]] = {
    "read": lambda content: content.read(),
    "read some": _some,
    "readexactly": _exactly,
    "read_nowait": _nowait,
    "lines": _joined,
    "iter_chunked": lambda content: _joined(content.iter_chunked(64)),
    "iter_any": lambda content: _joined(content.iter_any()),
    "iter_chunks": lambda content: _joined(content.iter_chunks()),
}


@pytest.mark.parametrize("way", AIOHTTP)
async def test_every_way_to_read_aiohttp(provider: Provider, captured: Captured, way: str) -> None:
    aiohttp = pytest.importorskip("aiohttp")
    url = provider.scenario()
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/chat/completions", json=STREAM) as response,
    ):
        assert isinstance(response.content, aiohttp.StreamReader)
        assert (await AIOHTTP[way](response.content)).count(b'"content":"word ') == 25
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [stream_call(truth, "completed", chunks=25)]


@pytest.mark.parametrize("given", ["text", "bytes", "object"])
async def test_any_body_of_aiohttp_is_read(provider: Provider, captured: Captured, given: str) -> None:
    aiohttp = pytest.importorskip("aiohttp")
    url = provider.scenario()
    text = json.dumps(BODY)
    body: dict[str, Any] = {
        "text": {"data": text},
        "bytes": {"data": text.encode()},
        "object": {"json": BODY},
    }[given]
    async with (
        aiohttp.ClientSession(f"{url}/") as session,
        session.post("chat/completions", **body) as response,
    ):
        await response.json()
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [plain_call(truth)]


async def test_a_body_that_aiohttp_leaves_compressed(provider: Provider, captured: Captured) -> None:
    aiohttp = pytest.importorskip("aiohttp")
    url = provider.scenario(Fault(gzip=True))
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.post(f"{url}/chat/completions", json=BODY) as response,
    ):
        assert (await response.read())[:2] == b"\x1f\x8b"
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [plain_call(truth)]


async def test_the_time_for_the_whole_request_is_over(provider: Provider, captured: Captured) -> None:
    aiohttp = pytest.importorskip("aiohttp")
    url = provider.scenario(Fault(hang_after=4))
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.3)) as session:
        with pytest.raises(asyncio.TimeoutError):
            async with session.post(f"{url}/chat/completions", json=STREAM) as response:
                await response.read()
    (call,) = described(captured)
    assert (call.facts["stream_end"], call.facts["error"]) == ("error", "TimeoutError")
    assert (call.facts["outcome"], call.facts["output"]) == ("unknown", 4)


@pytest.mark.parametrize(("fault", "chunks"), [(Fault(delay_s=5), None), (Fault(hang_after=10), 10)])
async def test_a_cancelled_request_of_aiohttp(
    provider: Provider, captured: Captured, fault: Fault, chunks: int | None
) -> None:
    aiohttp = pytest.importorskip("aiohttp")
    url = provider.scenario(fault)

    async def ask() -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{url}/chat/completions", json=STREAM) as response,
        ):
            await response.read()

    task = asyncio.create_task(ask())
    await asyncio.sleep(0.3)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    (call,) = described(captured)
    assert (call.facts["error"], call.facts["outcome"]) == ("CancelledError", "unknown")
    assert call.facts.get("chunks") == call.facts.get("output") == chunks
    assert call.facts.get("stream_end") == (None if chunks is None else "cancelled")


def test_retries_of_urllib3_are_requests_of_one_call(provider: Provider, captured: Captured) -> None:
    urllib3 = pytest.importorskip("urllib3")
    url = provider.scenario(Fault(status=500), Fault(reset=True), Fault())
    retry = urllib3.Retry(3, status_forcelist=[500], allowed_methods=None, backoff_factor=0)
    with urllib3.PoolManager(retries=retry) as pools:
        pools.request("POST", f"{url}/chat/completions", body=json.dumps(BODY).encode())
    failed, reset, last = provider.truth(url, expect=3)
    path = f"POST /{'/'.join(url.split('/')[3:])}/chat/completions"
    below = (
        Node(path).but(model="m", resend=0, http=500, outcome="unknown", error="500", **estimated(failed)),
        Node(path).but(
            model="m", resend=1, outcome="unknown", error="ConnectionResetError", **estimated(reset)
        ),
        Node(path).but(model="m", resend=2, http=200, outcome="answered", **said(last)),
    )
    assert described(captured) == [Node("chat m", {"model": "m", "requests": 3, **said(last)}, below=below)]


def test_retries_of_a_session_of_requests_are_requests_of_one_call(
    provider: Provider, captured: Captured
) -> None:
    requests = pytest.importorskip("requests")
    retry = importlib.import_module("urllib3").Retry(
        2, status_forcelist=[503], allowed_methods=None, backoff_factor=0
    )
    url = provider.scenario(Fault(status=503), Fault())
    with requests.Session() as session:
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retry))
        session.post(f"{url}/chat/completions", json=BODY)
    (call,) = described(captured)
    assert call.facts["requests"] == len(call.below) == 2


def test_an_answer_that_nobody_fetches_ends_its_call(provider: Provider, captured: Captured) -> None:
    with HttpClient() as transport:
        url = provider.scenario()
        connection = importlib.import_module("http.client").HTTPConnection("127.0.0.1", provider.port)
        connection.request("POST", f"/{'/'.join(url.split('/')[3:])}/chat/completions", json.dumps(BODY))
        assert captured.spans == []
        connection.close()
        del connection
        transport.collect_garbage()
    (call,) = described(captured)
    assert (call.facts["requests"], call.facts["outcome"]) == (1, "unknown")


def test_a_proxy_does_not_hide_the_model(provider: Provider, captured: Captured) -> None:
    """An HTTP proxy is asked for a whole URL; here the provider is its own proxy."""
    url = provider.scenario()
    proxy = urllib.request.ProxyHandler({"http": provider.url})
    request = urllib.request.Request(
        f"{url.replace('127.0.0.1', 'model.test')}/chat/completions", json.dumps(BODY).encode()
    )
    with urllib.request.build_opener(proxy).open(request) as response:
        response.read()
    (span,) = captured.spans
    assert (span.attributes["server.address"], span.attributes["server.port"]) == (
        "model.test",
        provider.port,
    )


def test_threads_share_a_session(provider: Provider, captured: Captured) -> None:
    requests = pytest.importorskip("requests")
    url = provider.scenario()
    with requests.Session() as session:

        def ask() -> None:
            for _ in range(5):
                session.post(f"{url}/chat/completions", json=BODY)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    truth = provider.truth(url, expect=20)
    assert described(captured) == [plain_call(t) for t in truth]


WRAPPED: dict[str, tuple[type[TransportDriver], str]] = {
    "requests": (Requests, "session"),
    "urllib3": (Urllib3, "pools"),
    "aiohttp": (Aiohttp, "session"),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_only_the_wrapped_session_is_traced(provider: Provider, unpatched: Captured, name: str) -> None:
    made, attribute = WRAPPED[name]
    pytest.importorskip(made.module_name)
    url = provider.scenario()
    with made() as wrapped, made() as other:
        session = getattr(wrapped, attribute)
        before = dict(vars(session))
        assert patches.wrap_client(patches.wrap_client(session)) is session
        for transport in (wrapped, other):
            transport.lines(transport.post(f"{url}/chat/completions", STREAM))
        truth = provider.truth(url, expect=2)[0]
        assert described(unpatched) == [stream_call(truth, "completed", chunks=25)]
        patches.uninstall_all()
        assert dict(vars(session)) == before
        wrapped.ask(f"{url}/chat/completions", BODY)
    assert len(unpatched.spans) == 1


@pytest.mark.parametrize("name", WRAPPED)
def test_a_wrapped_session_of_an_instrumented_process_counts_once(
    provider: Provider, captured: Captured, name: str
) -> None:
    made, attribute = WRAPPED[name]
    pytest.importorskip(made.module_name)
    url = provider.scenario()
    with made() as transport:
        patches.wrap_client(getattr(transport, attribute))
        transport.ask(f"{url}/chat/completions", BODY)
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [plain_call(truth)]


async def test_httpx_over_aiohttp_is_one_request(provider: Provider, captured: Captured) -> None:
    """The SDK's own client for it: the outer library's pass, and one request that the inner one sends."""
    client_class: Any = getattr(openai, "DefaultAioHttpClient", None)
    try:
        http_client = client_class()
    except RuntimeError:
        pytest.skip("the aiohttp extra is not installed")
    url = provider.scenario(Fault(status=500, headers={"retry-after-ms": "1"}), Fault(), Fault())
    async with openai.AsyncOpenAI(base_url=url, api_key="k", http_client=http_client) as client:
        await client.chat.completions.create(**BODY)
        stream: Any = await client.chat.completions.create(**STREAM)
        assert len([chunk async for chunk in stream]) == 27
    failed, second, third = provider.truth(url, expect=3)
    retried, streamed_call = described(captured)
    assert [node.facts["http"] for node in retried.below] == [failed.status, second.status]
    assert streamed_call == stream_call(third, "completed", chunks=25)
