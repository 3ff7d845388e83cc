"""Trace context over HTTP: to the services that the user names, to no model provider, never by a redirect.

What is compared is what a server really got.
"""

import asyncio
import contextlib
import http.client
import importlib
import re
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest
from opentelemetry import baggage, trace
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import TracerProvider

import fanlight
from fanlight import patches
from fanlight._config import read_config
from fanlight._own_hosts import own_host
from fanlight._runtime import runtime
from fanlight.testing import Captured
from mock_provider import Fault, Provider
from sdk_drivers import MESSAGES, Driver
from transport_drivers import DRIVERS, OTHERS, TransportDriver
from wiretap import Wiretap, wiretap

ALLOWED, FOREIGN = "localhost", "127.0.0.1"  # two names of one machine: one on the list, one not
OURS = {"traceparent", "tracestate", "baggage"}
BODY = {"model": "m", "messages": MESSAGES}

Headers = Mapping[str, str]
Get = Callable[[str, Headers], Headers | None]


def with_httpx(name: str) -> Get:
    def get(url: str, headers: Headers) -> Headers:
        with importlib.import_module(name).Client(follow_redirects=True, headers=headers) as client:
            seen: Headers = client.get(url).request.headers
            return seen

    return get


def with_async_httpx(name: str) -> Get:
    async def get(url: str, headers: Headers) -> Any:
        module = importlib.import_module(name)
        async with module.AsyncClient(follow_redirects=True, headers=headers) as client:
            return (await client.get(url)).request.headers

    return lambda url, headers: asyncio.run(get(url, headers))  # type: ignore[no-any-return]


def with_requests(url: str, headers: Headers) -> Headers:
    given = dict(headers)
    with importlib.import_module("requests").Session() as session:
        seen: Headers = session.get(url, headers=given).request.headers
    assert given == headers
    return seen


def with_urllib3(url: str, headers: Headers) -> None:
    given = dict(headers)
    with importlib.import_module("urllib3").PoolManager() as pools:
        pools.request("GET", url, headers=given)
    assert given == headers


def with_http_client(url: str, headers: Headers) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc)
    connection.request("GET", parts.path or "/", headers=dict(headers))
    connection.getresponse().read()
    connection.close()


def with_urllib(url: str, headers: Headers) -> Headers:
    request = urllib.request.Request(url, headers=dict(headers))
    with urllib.request.urlopen(request) as response:
        response.read()
    return {name.lower(): value for name, value in request.header_items()}


def with_aiohttp(url: str, headers: Headers) -> Any:
    async def get() -> Any:
        async with (
            importlib.import_module("aiohttp").ClientSession() as session,
            session.get(url, headers=headers) as response,
        ):
            await response.read()
            return response.request_info.headers

    return asyncio.run(get())


def with_websockets(url: str, headers: Headers) -> Any:
    module = importlib.import_module("websockets.sync.client")
    with module.connect(url.replace("http:", "ws:", 1), additional_headers=headers) as connection:
        return connection.request.headers


def with_async_websockets(url: str, headers: Headers) -> Any:
    async def get() -> Any:
        module = importlib.import_module("websockets.asyncio.client")
        async with module.connect(url.replace("http:", "ws:", 1), additional_headers=headers) as connection:
            return connection.request.headers

    return asyncio.run(get())


# By the module that has to be there.
WAYS: dict[str, tuple[str, Get]] = {
    "httpx": ("httpx", with_httpx("httpx")),
    "httpx async": ("httpx", with_async_httpx("httpx")),
    "httpx2": ("httpx2", with_httpx("httpx2")),
    "httpx2 async": ("httpx2", with_async_httpx("httpx2")),
    "requests": ("requests", with_requests),
    "urllib3": ("urllib3", with_urllib3),
    "http.client": ("http.client", with_http_client),
    "urllib.request": ("urllib.request", with_urllib),
    "aiohttp": ("aiohttp", with_aiohttp),
    "websockets": ("websockets", with_websockets),
    "websockets async": ("websockets", with_async_websockets),
}
FOLLOWING = [name for name in WAYS if name not in ("http.client", "websockets", "websockets async")]


@pytest.fixture
def tap() -> Iterator[Wiretap]:
    with wiretap() as running:
        yield running


@pytest.fixture
def get(way: str) -> Callable[..., Headers | None]:
    """GET a URL, redirects followed; gives the headers as the app sees them afterwards, if it can."""
    module, found = WAYS[way]
    pytest.importorskip(module)  # openai 2.x's environment has no httpx2
    return lambda url, headers=None: found(url, headers or {})


@pytest.fixture
def propagating(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("FANLIGHT_PROPAGATE_TO", ALLOWED)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    fanlight.instrument()
    yield
    fanlight.uninstrument()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("propagating")
def test_a_service_on_the_list_can_go_on_with_the_action(tap: Wiretap, get: Get) -> None:
    with fanlight.action("ask", user="u-42"), fanlight.tool("search"):
        here = fanlight.carrier()
        seen = get(tap.url(ALLOWED), {"x-own": "1"})
    (headers,) = tap.headers
    assert {name: headers.get(name) for name in here} == here
    assert headers["x-own"] == "1"
    assert "user.id=u-42" in headers["baggage"]
    assert seen is None or not OURS & {name.lower() for name in seen}  # the app's request is as it made it


@pytest.mark.parametrize("way", WAYS)
def test_what_another_host_gets_is_to_the_byte_what_it_gets_without_fanlight(
    tap: Wiretap, get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    get(tap.url(FOREIGN), {"x-own": "1"})
    monkeypatch.setenv("FANLIGHT_PROPAGATE_TO", ALLOWED)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    fanlight.instrument()
    with fanlight.action("ask", user="u-42"):
        get(tap.url(FOREIGN), {"x-own": "1"})
    without, with_it = (re.sub(rb"(?m)^Sec-WebSocket-Key: .*$", b"", head) for head in tap.heads)
    assert with_it == without


@pytest.mark.parametrize("way", FOLLOWING)
@pytest.mark.usefixtures("propagating")
def test_a_redirect_to_another_host_carries_nothing(tap: Wiretap, get: Get) -> None:
    with fanlight.action("ask", user="u-42"):
        get(f"{tap.url(ALLOWED)}/to/{tap.url(FOREIGN)}")
    assert [sorted(OURS & headers.keys()) for headers in tap.headers] == [["baggage", "traceparent"], []]
    assert b"u-42" not in tap.heads[1]


@pytest.mark.usefixtures("propagating")
def test_a_redirect_of_a_websocket_to_another_host_carries_nothing(tap: Wiretap) -> None:
    pytest.importorskip("websockets")
    there = tap.url(FOREIGN, "ws")
    with fanlight.action("ask", user="u-42"):
        with_async_websockets(f"{tap.url(ALLOWED)}/to/{there}", {})
    assert [sorted(OURS & headers.keys()) for headers in tap.headers] == [["baggage", "traceparent"], []]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("propagating")
def test_what_the_app_sends_itself_stays(tap: Wiretap, get: Get) -> None:
    own = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "baggage": "team=blue"}
    with fanlight.action("ask", user="u-42"):
        seen = get(tap.url(ALLOWED), own)
    (headers,) = tap.headers
    assert headers["traceparent"] == own["traceparent"]
    assert headers["baggage"].endswith(",team=blue")
    assert headers["baggage"].count("fanlight.action.id=") == 1
    assert tap.heads[0].lower().count(b"\nbaggage:") == 1
    assert seen is None or seen["baggage"] == "team=blue"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("propagating")
def test_outside_any_action_nothing_is_added(tap: Wiretap, get: Get) -> None:
    get(tap.url(ALLOWED), {})
    assert not OURS & tap.headers[0].keys()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("propagating")
def test_code_that_switches_instrumentation_off_sends_nothing(tap: Wiretap, get: Get) -> None:
    """As fanlight's own exporter does, whose collector may be on the list."""
    off = importlib.import_module("opentelemetry.instrumentation.utils").suppress_instrumentation
    with fanlight.action("ask", user="u-42"), off():
        get(tap.url(ALLOWED), {})
    assert not OURS & tap.headers[0].keys()


@pytest.mark.parametrize("host", [ALLOWED, FOREIGN])
@pytest.mark.parametrize("name", DRIVERS)
def test_a_model_on_the_list_gets_the_span_of_the_call_and_no_other_anything(
    tap: Wiretap, captured: Captured, monkeypatch: pytest.MonkeyPatch, name: str, host: str
) -> None:
    pytest.importorskip(DRIVERS[name].module_name)
    monkeypatch.setattr(runtime, "own_hosts", (own_host(ALLOWED),))
    with fanlight.action("ask", user="u-42"), DRIVERS[name]() as transport:
        transport.ask(f"{tap.url(host)}/v1/chat/completions", BODY)
    (call,), (headers,) = captured.with_role("call"), tap.headers
    if host == FOREIGN:
        assert not OURS & headers.keys()
        assert b"u-42" not in tap.heads[0]
    else:
        assert headers["traceparent"].split("-")[1:3] == [call.trace_id, call.span_id]
        assert "user.id=u-42" in headers["baggage"]


@pytest.fixture
def beside(name: str, captured: Captured, monkeypatch: pytest.MonkeyPatch) -> Iterator[TransportDriver]:
    """A library that OpenTelemetry's own hooks are in as well, in an app with baggage of its own."""
    pytest.importorskip(DRIVERS[name].module_name)
    monkeypatch.setattr(runtime, "own_hosts", (own_host(ALLOWED),))
    trace.set_tracer_provider(TracerProvider())
    with contextlib.ExitStack() as undone:
        for module, instrumentor in OTHERS[name]:
            other = getattr(pytest.importorskip(f"opentelemetry.instrumentation.{module}"), instrumentor)()
            other.instrument()
            undone.callback(other.uninstrument)
        with DRIVERS[name]() as transport:
            yield transport
    patches.uninstall_all()


@pytest.mark.parametrize("host", [ALLOWED, FOREIGN])
@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_beside_the_apps_own_propagation_no_user_reaches_another_host(
    tap: Wiretap, beside: TransportDriver, host: str
) -> None:
    """What the app's own instrumentation sends is the app's: its baggage, and the trace."""
    token = attach(baggage.set_baggage("team", "blue"))
    with fanlight.action("ask", user="u-42"):
        beside.close_answer(beside.post(tap.url(host) + "/tools", {"q": 1}))
    detach(token)
    (headers,) = tap.headers
    assert tap.heads[0].lower().count(b"\ntraceparent:") == 1
    assert headers["baggage"].endswith("team=blue")
    assert (b"u-42" in tap.heads[0]) is (host == ALLOWED)


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_beside_the_apps_own_propagation_a_redirect_carries_no_user(
    tap: Wiretap, beside: TransportDriver
) -> None:
    with fanlight.action("ask", user="u-42"):
        beside.close_answer(beside.post(f"{tap.url(ALLOWED)}/to/{tap.url(FOREIGN)}", {"q": 1}))
    assert [b"u-42" in head for head in tap.heads] == [True, False]


@pytest.mark.parametrize("name", ["requests", "urllib3", "aiohttp"])
def test_a_wrapped_client_sends_it_and_no_other(
    tap: Wiretap, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    pytest.importorskip(DRIVERS[name].module_name)
    monkeypatch.setenv("FANLIGHT_PROPAGATE_TO", ALLOWED)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    with DRIVERS[name]() as wrapped, DRIVERS[name]() as other:
        fanlight.wrap(wrapped.pools if name == "urllib3" else wrapped.session)  # type: ignore[attr-defined]
        with fanlight.action("ask", user="u-42"):
            for transport in (wrapped, other):
                transport.close_answer(transport.post(tap.url(ALLOWED), {"q": 1}))
    assert ["baggage" in headers for headers in tap.headers] == [True, False]


def test_a_model_provider_gets_no_context(provider: Provider, driver: Driver, captured: Captured) -> None:
    url = provider.scenario(Fault())
    with fanlight.action("ask", user="u-42"):
        driver.run(driver.client(url).chat.completions.create(model="m", messages=MESSAGES))
    (asked,) = provider.truth(url)
    assert not {"traceparent", "tracestate", "baggage"} & asked.headers.keys()


def test_an_engine_on_the_list_gets_the_span_of_the_call(
    provider: Provider, driver: Driver, monkeypatch: pytest.MonkeyPatch, captured: Captured
) -> None:
    monkeypatch.setattr(runtime, "own_hosts", (own_host("127.0.0.1"),))
    url = provider.scenario(Fault(status=500, headers={"retry-after-ms": "1"}), Fault())
    driver.run(driver.client(url).chat.completions.create(model="m", messages=MESSAGES))
    (call,) = captured.with_role("call")
    parents = [asked.headers["traceparent"].split("-")[2] for asked in provider.truth(url, expect=2)]
    assert parents == [call.span_id] * 2


@pytest.mark.parametrize(
    ("written", "host", "port", "matches"),
    [
        ("tools.internal", "tools.internal", 8080, True),
        ("tools.internal", "evil-tools.internal", None, False),
        ("Tools.Internal:8080", "tools.internal", 8080, True),
        ("tools.internal:8080", "tools.internal", 8081, False),
        ("tools.internal:443", "tools.internal", None, True),
        ("tools.internal:8080", "tools.internal", None, False),
        ("*.internal", "a.b.internal", None, True),
        ("*.internal", "internal", None, False),
        ("*.internal", "notinternal", None, False),
        ("[::1]:9000", "::1", 9000, True),
        ("[::1]", "::1", 9000, True),
    ],
)
def test_an_entry_names_its_hosts(written: str, host: str, port: int | None, matches: bool) -> None:
    found = own_host(written)
    assert found is not None
    assert found.matches(host, port) is matches


@pytest.mark.parametrize(
    "written", ["*", "*.", "http://tools.internal", "a b", "host:port", "user@host", "*.*"]
)
def test_what_is_no_host_is_refused_with_what_to_do(
    written: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert own_host(written) is None
    assert read_config({"FANLIGHT_PROPAGATE_TO": f"{written}, good.internal"}).own_hosts == (
        own_host("good.internal"),
    )
    assert "FANLIGHT_PROPAGATE_TO" in caplog.text
