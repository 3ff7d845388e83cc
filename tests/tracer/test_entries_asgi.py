"""FastAPI, Starlette and plain ASGI apps in uvicorn: a request that calls a model is an action by itself."""

import asyncio
import contextlib
import gc
import socket
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI, HTTPException, WebSocket
from fastapi.responses import StreamingResponse
from opentelemetry import propagate
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware import Middleware as Added
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from websockets.sync.client import connect

import fanlight
from entry_trees import Told, told
from fanlight import _guard
from fanlight._entries import Entry
from fanlight._inheritance import continue_action
from fanlight._runtime import runtime
from fanlight.asgi import Middleware
from fanlight.testing import Captured
from fanlight_schema import attributes as names
from mock_provider import Provider
from serving import ask, ask_and_leave, eventually, served_asgi

MESSAGES: Any = [{"role": "user", "content": "Say something about the window."}]


class Agent:
    """What the routes do: calls of a model, by the real SDK."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def call(self) -> None:
        async with openai.AsyncOpenAI(base_url=self.url, api_key="k") as client:
            await client.chat.completions.create(model="m", messages=MESSAGES)

    def call_sync(self) -> None:
        with openai.OpenAI(base_url=self.url, api_key="k") as client:
            client.chat.completions.create(model="m", messages=MESSAGES)


@pytest.fixture
def agent(provider: Provider) -> Agent:
    return Agent(provider.scenario())


def fast_app(agent: Agent) -> FastAPI:
    app, router = FastAPI(), APIRouter(prefix="/v1")

    @app.get("/health")
    async def health() -> str:
        return "fine"

    @app.post("/ask/{id}")
    async def ask_twice(id: str) -> None:  # noqa: A002
        await agent.call()
        await agent.call()

    @app.post("/sync/{id}")
    def ask_in_thread(id: str) -> None:  # noqa: A002
        agent.call_sync()

    @router.post("/routed/{id}")
    async def routed(id: str) -> None:  # noqa: A002
        await agent.call()

    @app.post("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            for _ in range(2):
                await agent.call()
                yield "part"
                await asyncio.sleep(0.05)

        return StreamingResponse(parts())

    @app.post("/endless")
    async def endless() -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            await agent.call()
            while True:
                yield "part" * 1000
                await asyncio.sleep(0.01)

        return StreamingResponse(parts())

    @app.post("/later")
    async def later(background: BackgroundTasks) -> str:
        async def work() -> None:
            await asyncio.sleep(0.1)
            await agent.call()

        background.add_task(work)
        return "accepted"

    @app.post("/raises")
    async def raises() -> None:
        await agent.call()
        raise ValueError("secret")

    @app.post("/refuses/{status}")
    async def refuses(status: int) -> None:
        await agent.call()
        raise HTTPException(status)

    @app.post("/declared")
    async def declared() -> None:
        await agent.call()
        with fanlight.action("answer", user="u-declared"):
            await agent.call()
        await agent.call()

    @app.post("/declared_first")
    async def declared_first() -> None:
        with fanlight.action("answer"):
            await agent.call()
        await agent.call()

    @app.post("/knows")
    async def knows() -> None:
        fanlight.set_user("u-set")
        await agent.call()
        fanlight.set_session("s-set")

    @app.post("/slow/{id}")
    async def slow(id: str) -> None:  # noqa: A002
        await asyncio.sleep(0.05)
        await agent.call()

    @app.websocket("/talk/{room}")
    async def talk(talk: WebSocket, room: str) -> None:
        await talk.accept()
        while True:
            text = await talk.receive_text()
            if text == "who":
                fanlight.set_user("u-socket")
            if text != "quiet":
                await agent.call()
            await talk.send_text(text)
            if text == "bye":
                break

    app.include_router(router)
    return app


@pytest.fixture
def url(captured: Captured, agent: Agent) -> Iterator[str]:
    with served_asgi(fast_app(agent)) as served:
        yield served


def test_request_that_calls_a_model_twice_is_one_action(captured: Captured, url: str) -> None:
    assert ask(f"{url}/ask/4711").status == 200
    assert told(captured) == [Told("POST /ask/{id}", below=("chat m", "chat m"))]
    root = captured.named("POST /ask/{id}")
    assert root.attributes[names.ACTION_ID] == root.trace_id
    assert root.attributes["http.route"] == "/ask/{id}"
    assert "4711" not in repr(captured.spans)


def test_requests_without_a_call_write_nothing(captured: Captured, url: str) -> None:
    for path in ("/health", "/nothing", "/docs"):
        ask(url + path, "GET")
    ask(f"{url}/ask/1")
    assert [one.name for one in told(captured)] == ["POST /ask/{id}"]


def test_endpoint_in_a_thread_and_one_of_a_router_are_actions(captured: Captured, url: str) -> None:
    ask(f"{url}/sync/1")
    ask(f"{url}/v1/routed/1")
    assert told(captured, 2) == [Told("POST /sync/{id}"), Told("POST /v1/routed/{id}")]


def test_action_lasts_until_the_last_byte_of_a_stream(captured: Captured, url: str) -> None:
    assert ask(f"{url}/stream").body == b"partpart"
    assert told(captured) == [Told("POST /stream", below=("chat m", "chat m"))]
    root, last = captured.named("POST /stream"), captured.with_role("call")[-1]
    assert root.end_time_ns - last.end_time_ns > 0.04e9  # the pause before the end


def test_background_task_belongs_to_the_action_that_has_ended(captured: Captured, url: str) -> None:
    ask(f"{url}/later")
    assert told(captured) == [Told("POST /later")]
    root, (call,) = captured.named("POST /later"), captured.with_role("call")
    assert call.start_time_ns - root.end_time_ns > 0.05e9


def test_failures_mark_the_action_and_a_clients_mistake_does_not(captured: Captured, url: str) -> None:
    for path in ("/raises", "/refuses/503", "/refuses/404"):
        ask(url + path)
    assert told(captured, 3) == [
        Told("POST /raises", error="ValueError"),
        Told("POST /refuses/{status}", error="503"),
        Told("POST /refuses/{status}"),
    ]
    assert "secret" not in repr(captured.spans)


def test_client_that_leaves_ends_the_action_as_cut(captured: Captured, url: str) -> None:
    ask_and_leave(f"{url}/endless", 10_000)
    assert told(captured) == [Told("POST /endless", error="cut")]


def test_declared_action_takes_the_place_of_the_automatic_one(captured: Captured, url: str) -> None:
    ask(f"{url}/declared_first")
    assert told(captured) == [Told("answer", source="declared", below=("chat m", "chat m"))]


def test_declared_action_after_a_call_names_what_began_before_it(captured: Captured, url: str) -> None:
    ask(f"{url}/declared")
    assert told(captured, 2) == [
        Told(
            "POST /declared",
            user="u-declared",
            source="declared",
            below=("chat m", ("answer", ["chat m"]), "chat m"),
        )
    ]
    assert captured.named("POST /declared").attributes[names.ACTION_NAME] == "answer"


def test_user_set_in_the_handler_is_the_actions(captured: Captured, url: str) -> None:
    ask(f"{url}/knows")
    assert told(captured) == [Told("POST /knows", user="u-set", session="s-set")]


def test_users_of_concurrent_requests_are_not_mixed(captured: Captured, url: str) -> None:
    runtime.user = "X-User-Id"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: ask(f"{url}/slow/{n}", x_user_id=f"u-{n}"), range(16)))
    assert sorted(str(one.user) for one in told(captured, 16)) == sorted(f"u-{n}" for n in range(16))
    assert len({span.attributes[names.ACTION_ID] for span in captured.spans}) == 16


def test_requests_of_one_connection_are_actions_of_their_own(captured: Captured, url: str) -> None:
    import http.client

    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    for n in range(3):
        connection.request("POST", f"/sync/{n}")
        connection.getresponse().read()
    connection.close()
    assert told(captured, 3) == [Told("POST /sync/{id}")] * 3


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


def test_mounted_app_is_named_by_the_whole_template(captured: Captured, agent: Agent) -> None:
    async def answer(request: Request) -> PlainTextResponse:
        await agent.call()
        return PlainTextResponse("fine")

    inner = Starlette(routes=[Route("/ask/{id}", answer, methods=["POST"])])
    app = Starlette(routes=[Mount("/tenants/{tenant}", app=inner)])
    with served_asgi(app) as url:
        ask(f"{url}/tenants/t-1/ask/5")
    assert told(captured) == [Told("POST /tenants/{tenant}/ask/{id}")]


def test_call_of_a_middleware_before_the_route_is_chosen_is_named_by_it(
    captured: Captured, agent: Agent
) -> None:
    class Moderates:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await agent.call()
            await self.app(scope, receive, send)

    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse("fine")

    inner = Starlette(routes=[Route("/ask/{id}", answer)], middleware=[Added(Moderates)])
    with served_asgi(Starlette(routes=[Mount("/t/{tenant}", app=inner)])) as url:
        ask(f"{url}/t/t-1/ask/5", "GET")
    assert told(captured) == [Told("GET /t/{tenant}/ask/{id}")]
    assert captured.named("GET /t/{tenant}/ask/{id}").attributes["http.route"] == "/t/{tenant}/ask/{id}"


def test_requests_sent_at_once_over_one_connection_are_two_actions(captured: Captured, url: str) -> None:
    """The server starts the second one in the context of the first."""
    request = b"POST /ask/1 HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(request + request)
        assert told(captured, 2) == [Told("POST /ask/{id}", below=("chat m", "chat m"))] * 2


def test_request_inside_a_running_action_of_this_process_is_part_of_it(
    captured: Captured, agent: Agent
) -> None:
    async def run() -> None:
        scope = {"type": "http", "method": "POST", "path": "/ask/1", "query_string": b"", "headers": []}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b""}

        async def send(message: Any) -> None:
            return None

        with fanlight.action("test"):
            await fast_app(agent)(scope, receive, send)

    asyncio.run(run())
    assert told(captured) == [Told("test", source="declared", below=("chat m", "chat m"))]


def test_service_that_an_action_started_serves_actions_of_its_own(captured: Captured, agent: Agent) -> None:
    continue_action({"TRACEPARENT": carried()["traceparent"], "BAGGAGE": carried()["baggage"]})
    with served_asgi(fast_app(agent)) as url:
        ask(f"{url}/sync/1")
        assert told(captured) == [Told("POST /sync/{id}")]
    root = captured.named("POST /sync/{id}")
    assert root.attributes[names.ACTION_ID] == root.trace_id != "a" * 32


class ServerSpan:
    """Another instrumentation's middleware: a span of the app's own provider around each request."""

    def __init__(self, app: Any, provider: TracerProvider) -> None:
        self.app = app
        self.tracer = provider.get_tracer("other")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {key.decode(): value.decode() for key, value in scope["headers"]}
        with self.tracer.start_as_current_span("SERVER", context=propagate.extract(headers)):
            await self.app(scope, receive, send)


@pytest.mark.parametrize("where", ["inside", "outside"])
def test_other_instrumentations_span_of_the_request_is_in_the_same_trace(
    captured: Captured, agent: Agent, where: str
) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    fanlight.instrument(provider)
    app: Any = fast_app(agent)
    if where == "inside":
        app.add_middleware(ServerSpan, provider=provider)
    else:
        app = ServerSpan(app, provider)
    with served_asgi(app) as url:
        ask(f"{url}/sync/1")
        assert told(captured) == [Told("POST /sync/{id}")]
        eventually(lambda: len(exporter.get_finished_spans()) == 3)
    parents = {span.name: span.parent and span.parent.span_id for span in exporter.get_finished_spans()}
    ids = {span.name: span.context and span.context.span_id for span in exporter.get_finished_spans()}
    assert parents == {"SERVER": None, "POST /sync/{id}": ids["SERVER"], "chat m": ids["POST /sync/{id}"]}
    root = captured.named("POST /sync/{id}")
    assert root.attributes[names.ACTION_ID] != root.trace_id


def test_action_that_another_instrumentation_read_from_a_stranger_is_not_believed(
    captured: Captured, agent: Agent
) -> None:
    runtime.trust_headers = "never"
    provider = TracerProvider()
    inside = fast_app(agent)
    inside.add_middleware(ServerSpan, provider=provider)
    for app in (inside, ServerSpan(fast_app(agent), provider)):
        with served_asgi(app) as url:
            ask(f"{url}/sync/1", **carried())
    assert [one.user for one in told(captured, 2)] == [None, None]
    assert "c" * 32 not in {span.attributes[names.ACTION_ID] for span in captured.spans}


def test_explicit_middleware_and_the_hook_are_one_action(captured: Captured, agent: Agent) -> None:
    inside, outside = fast_app(agent), fast_app(agent)
    inside.add_middleware(Middleware, user="x-who")
    with served_asgi(inside) as url:
        ask(f"{url}/ask/1", x_who="u-1")
    with served_asgi(Middleware(outside, user=lambda scope: scope["path"], session="x-s")) as url:
        ask(f"{url}/ask/2", x_s="s-2")
    assert told(captured, 2) == [
        Told("POST /ask/{id}", user="u-1", below=("chat m", "chat m")),
        Told("POST /ask/{id}", user="/ask/2", session="s-2", below=("chat m", "chat m")),
    ]


def test_callable_that_raises_is_reported_once_and_hurts_no_request(
    captured: Captured, agent: Agent, caplog: pytest.LogCaptureFixture
) -> None:
    _guard.raise_errors(False)
    asked: list[object] = []

    def user(scope: Any) -> str:
        asked.append(scope["path"])
        raise KeyError("no session")

    with served_asgi(Middleware(fast_app(agent), user=user)) as url:
        for path in ("/health", "/ask/1", "/ask/2"):
            assert ask(url + path, "GET" if path == "/health" else "POST").status == 200
        assert told(captured, 2) == [Told("POST /ask/{id}", below=("chat m", "chat m"))] * 2
    assert "/health" not in asked
    assert [message for message in caplog.messages if "entries.user" in message] == [caplog.messages[0]]
    _guard.forget_errors()


def test_function_sees_what_the_apps_middleware_found_out(captured: Captured, agent: Agent) -> None:
    class Knows(AuthenticationBackend):
        async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser]:
            return AuthCredentials(), SimpleUser("u-" + conn.headers["authorization"])

    app = fast_app(agent)
    app.add_middleware(AuthenticationMiddleware, backend=Knows())
    runtime.user = lambda scope: scope["user"].display_name
    with served_asgi(app) as url:
        ask(f"{url}/sync/1", authorization="7")
    assert told(captured) == [Told("POST /sync/{id}", user="u-7")]


def test_user_from_a_header_is_cut_and_cleaned(captured: Captured, url: str) -> None:
    runtime.user = "x-user"
    for name in ("Zoë", "Zoë".encode()):
        ask(f"{url}/ask/1", x_user=name + "\t" + "x" * 1000 if isinstance(name, str) else name)
    assert [one.user for one in told(captured, 2)] == ["Zoë" + "x" * 253, "Zoë"]


def test_off_again_nothing_is_watched(captured: Captured, agent: Agent) -> None:
    call = Starlette.__call__
    fanlight.patches.uninstall_all()
    assert Starlette.__call__ is call.__wrapped__  # type: ignore[attr-defined]
    with served_asgi(fast_app(agent)) as url:
        assert ask(f"{url}/ask/1").status == 200
    assert captured.spans == []


def carried(origin: str = "user") -> dict[str, str]:
    """The headers of an action of another service."""
    return {
        "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
        "baggage": f"fanlight.action.id={'c' * 32},fanlight.action.origin={origin},user.id=u-far",
    }


def test_request_with_carrier_headers_goes_on_with_that_action(captured: Captured, url: str) -> None:
    ask(f"{url}/ask/1", **carried())
    eventually(lambda: len(captured.spans) == 2)
    for span in captured.spans:
        assert (span.trace_id, span.parent_span_id) == ("a" * 32, "b" * 16)
        assert span.attributes[names.ACTION_ID] == "c" * 32
        assert span.attributes[names.USER_ID] == "u-far"
    assert [span.name for span in captured.spans] == ["chat m", "chat m"]


@pytest.mark.parametrize(
    ("trust", "proxy", "believed"),
    [
        ("direct", {}, True),
        ("direct", {"x_forwarded_for": "203.0.113.7"}, False),
        ("direct", {"via": "1.1 edge"}, False),
        ("always", {"forwarded": "for=203.0.113.7"}, True),
        ("never", {}, False),
    ],
)
def test_carrier_headers_are_believed_of_those_who_may_write_them(
    captured: Captured, url: str, trust: Any, proxy: dict[str, str], believed: bool
) -> None:
    runtime.trust_headers = trust
    ask(f"{url}/sync/1", **carried(), **proxy)
    eventually(lambda: len(captured.spans) == (1 if believed else 2))
    call = captured.named("chat m")
    assert (call.attributes[names.ACTION_ID] == "c" * 32) is believed
    assert (call.trace_id == "a" * 32) is believed
    assert (call.attributes.get(names.USER_ID) == "u-far") is believed


def test_trace_without_an_action_holds_one_of_its_own(captured: Captured, url: str) -> None:
    ask(f"{url}/sync/1", traceparent=carried()["traceparent"])
    assert told(captured) == [Told("POST /sync/{id}")]
    root = captured.named("POST /sync/{id}")
    assert (root.trace_id, root.parent_span_id) == ("a" * 32, "b" * 16)
    assert root.attributes[names.ACTION_ID] not in (root.trace_id, "c" * 32)


def entries() -> set[int]:
    """Those that exist; an idle thread of another test's server may hold one."""
    return {id(one) for one in gc.get_objects() if type(one) is Entry}


async def nothing(*_: Any) -> None:
    return None


@pytest.mark.parametrize("path", ["/", "/raises", "/step", "/declared", "/declared_later", "/carries"])
async def test_nothing_of_a_request_waits_for_the_garbage_collector(captured: Captured, path: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if path == "/raises":
            raise ValueError
        if path in ("/step", "/declared_later"):
            with fanlight.tool("search"):
                pass
        if path in ("/declared", "/declared_later"):
            with fanlight.action("answer"):
                pass
        if path == "/carries":
            fanlight.carrier()
        await send({"type": "http.response.body", "body": b"fine"})

    before = entries()
    gc.disable()
    try:
        with contextlib.suppress(ValueError):
            await Middleware(app)({"type": "http", "method": "GET", "path": path}, nothing, nothing)
        assert entries() <= before
    finally:
        gc.enable()


async def test_long_websocket_holds_no_message_that_is_over(captured: Captured) -> None:
    alive = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(20):
            await receive()
            alive.append(len(entries() - before))
            with fanlight.tool("search"):
                pass

    async def receive() -> dict[str, str]:
        return {"type": "websocket.receive"}

    before = entries()
    gc.disable()
    try:
        await Middleware(app)({"type": "websocket", "path": "/talk"}, receive, nothing)
    finally:
        gc.enable()
    assert max(alive) <= 3  # the first, the last, and that of the message
    assert told(captured, 20) == [Told("WEBSOCKET", below=("execute_tool search",))] * 20


def test_request_without_a_call_costs_little(captured: Captured) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"fine"})

    headers = [(b"x-header-%d" % n, b"value") for n in range(12)]
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/health",
        "headers": headers,
        "client": ("127.0.0.1", 1),
    }

    def fastest_us(served: Any) -> float:
        async def run() -> float:
            started = time.perf_counter()
            for _ in range(200):
                await served(dict(scope), nothing, nothing)
            return (time.perf_counter() - started) / 200 * 1e6

        return min(asyncio.run(run()) for _ in range(20))

    added_us = fastest_us(Middleware(app)) - fastest_us(app)
    print(f"an entry without a call adds {added_us:.1f} us")
    assert added_us < 60
    assert captured.spans == []
