"""Trace context over HTTP: to the services that the user names, to no model provider, never by a redirect."""

import asyncio
import http.server
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

import fanlight
from fanlight._config import read_config
from fanlight._own_hosts import own_host
from fanlight._runtime import runtime
from fanlight.testing import Captured
from mock_provider import Fault, Provider
from sdk_drivers import MESSAGES, Driver

ALLOWED, FOREIGN = "localhost", "127.0.0.1"  # two names of one machine: one on the list, one not


Get = Callable[..., Any]


class Service:
    """An HTTP service that keeps the headers it was sent; `/to/URL` redirects there."""

    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                """Nothing."""

            def do_GET(self) -> None:
                service.seen.append({name.lower(): value for name, value in self.headers.items()})
                target = self.path.partition("/to/")[2]
                self.send_response(302 if target else 200)
                if target:
                    self.send_header("location", target)
                self.send_header("content-length", "0")
                self.end_headers()

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def url(self, host: str) -> str:
        return f"http://{host}:{self.port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.close()


@pytest.fixture(params=["httpx", "httpx2"])
def http_module(request: pytest.FixtureRequest) -> ModuleType:
    return pytest.importorskip(request.param)  # openai 2.x's environment has no httpx2


@pytest.fixture(params=["sync", "async"])
def get(request: pytest.FixtureRequest, http_module: ModuleType) -> Get:
    """GET a URL, redirects followed; gives the response."""

    def sync(url: str, headers: dict[str, str] | None = None) -> Any:
        with http_module.Client(follow_redirects=True, headers=headers) as client:
            return client.get(url)

    async def waiting(url: str, headers: dict[str, str] | None) -> Any:
        async with http_module.AsyncClient(follow_redirects=True, headers=headers) as client:
            return await client.get(url)

    return sync if request.param == "sync" else lambda url, headers=None: asyncio.run(waiting(url, headers))


@pytest.fixture
def propagating(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("FANLIGHT_PROPAGATE_TO", ALLOWED)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    fanlight.instrument()
    yield
    fanlight.uninstrument()


@pytest.mark.usefixtures("propagating")
def test_a_service_on_the_list_can_go_on_with_the_action(service: Service, get: Get) -> None:
    with fanlight.action("ask", user="u-42"), fanlight.tool("search"):
        here = fanlight.carrier()
        response = get(service.url(ALLOWED))
    (headers,) = service.seen
    assert {name: headers.get(name) for name in here} == here
    assert "user.id=u-42" in headers["baggage"]
    assert "baggage" not in response.request.headers  # the app's own request is as the app made it
    assert "traceparent" not in response.request.headers


@pytest.mark.usefixtures("propagating")
def test_no_other_host_gets_anything_not_even_by_a_redirect(service: Service, get: Get) -> None:
    with fanlight.action("ask", user="u-42"):
        get(service.url(FOREIGN))
        get(f"{service.url(ALLOWED)}/to/{service.url(FOREIGN)}")
    assert ["baggage" in headers for headers in service.seen] == [False, True, False]
    assert ["traceparent" in headers for headers in service.seen] == [False, True, False]


@pytest.mark.usefixtures("propagating")
def test_what_the_app_sends_itself_stays(service: Service, get: Get) -> None:
    own = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "baggage": "team=blue"}
    with fanlight.action("ask", user="u-42"):
        response = get(service.url(ALLOWED), own)
    (headers,) = service.seen
    assert headers["traceparent"] == own["traceparent"]
    assert headers["baggage"].endswith(",team=blue")
    assert "fanlight.action.id=" in headers["baggage"]
    assert response.request.headers["baggage"] == "team=blue"


@pytest.mark.usefixtures("propagating")
def test_outside_any_action_nothing_is_added(service: Service, get: Get) -> None:
    get(service.url(ALLOWED))
    assert not {"traceparent", "baggage"} & service.seen[0].keys()


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
