"""Flask, Django and plain WSGI apps, served: a request that calls a model is an action by itself."""

import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.validate import validator

import django
import flask
import openai
import pytest
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import include, path

import fanlight
from entry_trees import Told, told
from fanlight import patches
from fanlight._runtime import runtime
from fanlight.testing import Captured
from fanlight.wsgi import Middleware
from fanlight_schema import attributes as names
from mock_provider import Provider
from serving import ask, ask_and_leave, eventually, served_asgi, served_wsgi

MESSAGES: Any = [{"role": "user", "content": "Say something about the window."}]


class Agent:
    """What the routes do: calls of a model, by the real SDK."""

    url = ""

    def call(self) -> None:
        with openai.OpenAI(base_url=self.url, api_key="k") as client:
            client.chat.completions.create(model="m", messages=MESSAGES)


agent = Agent()


@pytest.fixture(autouse=True)
def scenario(provider: Provider) -> None:
    agent.url = provider.scenario()


def flask_app() -> flask.Flask:
    app = flask.Flask("app")

    @app.get("/health")
    def health() -> str:
        return "fine"

    @app.post("/ask/<int:id>")
    def ask_twice(id: int) -> str:  # noqa: A002
        agent.call()
        agent.call()
        return "answer"

    @app.post("/stream")
    def stream() -> flask.Response:
        def parts() -> Iterator[str]:
            for _ in range(2):
                agent.call()
                yield "part"
                time.sleep(0.05)

        return flask.Response(parts())

    @app.post("/endless")
    def endless() -> flask.Response:
        def parts() -> Iterator[str]:
            agent.call()
            while True:
                yield "part" * 1000
                time.sleep(0.01)

        return flask.Response(parts())

    @app.post("/raises")
    def raises() -> str:
        agent.call()
        raise ValueError("secret")

    @app.post("/declared")
    def declared() -> str:
        with fanlight.action("answer"):
            agent.call()
        return "answer"

    @app.post("/pool")
    def pool() -> str:
        with ThreadPoolExecutor(2) as workers:
            for done in [workers.submit(agent.call) for _ in range(2)]:
                done.result()
        return "answer"

    @app.post("/left_behind")
    def left_behind() -> str:
        ThreadPoolExecutor(1).submit(lambda: (time.sleep(0.1), agent.call()))
        return "answer"

    return app


@pytest.fixture
def url(captured: Captured) -> Iterator[str]:
    with served_wsgi(flask_app()) as served:
        yield served


def test_request_that_calls_a_model_twice_is_one_action(captured: Captured, url: str) -> None:
    runtime.user = lambda environ: environ["HTTP_X_USER"].upper()
    ask(f"{url}/health", "GET")
    assert ask(f"{url}/ask/4711", x_user="u-1").body == b"answer"
    assert told(captured) == [Told("POST /ask/<int:id>", user="U-1", below=("chat m", "chat m"))]
    texts = [text for span in captured.spans for text in (span.name, *span.attributes.values())]
    assert not [text for text in texts if isinstance(text, str) and "4711" in text]


def test_action_lasts_until_the_last_byte_of_a_stream(captured: Captured, url: str) -> None:
    assert ask(f"{url}/stream").body == b"partpart"
    assert told(captured) == [Told("POST /stream", below=("chat m", "chat m"))]
    root, last = captured.named("POST /stream"), captured.with_role("call")[-1]
    assert root.end_time_ns - last.end_time_ns > 0.04e9  # the pause before the end


def test_client_that_leaves_ends_the_action_as_cut(captured: Captured, url: str) -> None:
    ask_and_leave(f"{url}/endless", 10_000)
    assert told(captured) == [Told("POST /endless", error="cut")]


def test_failure_marks_the_action(captured: Captured, url: str) -> None:
    assert ask(f"{url}/raises").status == 500
    assert told(captured) == [Told("POST /raises", error="500")]


def test_declared_action_takes_the_place_of_the_automatic_one(captured: Captured, url: str) -> None:
    ask(f"{url}/declared")
    assert told(captured) == [Told("answer", source="declared")]


def test_threads_of_a_request_belong_to_it(captured: Captured, url: str) -> None:
    ask(f"{url}/pool")
    assert told(captured) == [Told("POST /pool", below=("chat m", "chat m"))]


def test_work_left_behind_is_told_as_the_request_that_left_it(captured: Captured, url: str) -> None:
    ask(f"{url}/left_behind")
    eventually(lambda: captured.with_role("call"))
    assert told(captured) == [Told("POST /left_behind")]
    root, (call,) = captured.named("POST /left_behind"), captured.with_role("call")
    assert call.start_time_ns > root.end_time_ns


def test_users_of_concurrent_requests_are_not_mixed(captured: Captured, url: str) -> None:
    runtime.user = "X-User-Id"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: ask(f"{url}/ask/{n}", x_user_id=f"u-{n}"), range(8)))
    assert sorted(str(one.user) for one in told(captured, 8)) == sorted(f"u-{n}" for n in range(8))


def test_request_with_carrier_headers_goes_on_with_that_action(captured: Captured, url: str) -> None:
    baggage = f"fanlight.action.id={'c' * 32},user.id=u-far"
    ask(f"{url}/ask/1", traceparent=f"00-{'a' * 32}-{'b' * 16}-01", baggage=baggage)
    ask(f"{url}/declared", baggage=baggage, x_forwarded_for="203.0.113.7")
    eventually(lambda: len(captured.spans) == 4)
    first, second, call, declared = captured.spans
    for span in (first, second):
        assert (span.trace_id, span.parent_span_id) == ("a" * 32, "b" * 16)
        assert span.attributes[names.ACTION_ID] == "c" * 32
        assert span.attributes[names.USER_ID] == "u-far"
    for span in (call, declared):
        assert span.attributes[names.ACTION_ID] == declared.trace_id
        assert names.USER_ID not in span.attributes


def test_plain_app_keeps_the_protocol_and_its_list(captured: Captured) -> None:
    """`wsgiref.validate` holds both sides to PEP 3333."""

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("content-type", "text/plain")])
        agent.call()
        return [b"answer"]

    def stream(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("content-type", "text/plain")])
        agent.call()
        yield b"answer"

    assert Middleware(app)({}, lambda *_: None) == [b"answer"]
    for served in (app, stream):
        handler = type("Quiet", (WSGIRequestHandler,), {"log_message": lambda *_: None})
        server = make_server("127.0.0.1", 0, validator(Middleware(validator(served))), handler_class=handler)
        with ThreadPoolExecutor(1) as pool, server:
            answered = pool.submit(ask, f"http://127.0.0.1:{server.server_port}/x/1", "GET")
            server.handle_request()
            assert answered.result().body == b"answer"
    assert told(captured, 3)[1:] == [Told("GET")] * 2


def django_urls() -> list[Any]:
    def health(request: HttpRequest) -> HttpResponse:
        return HttpResponse("fine")

    def answer(request: HttpRequest, id: int) -> HttpResponse:  # noqa: A002
        agent.call()
        return HttpResponse("answer")

    def stream(request: HttpRequest) -> StreamingHttpResponse:
        def parts() -> Iterator[str]:
            agent.call()
            yield "part"

        return StreamingHttpResponse(parts())

    async def awaited(request: HttpRequest) -> HttpResponse:
        async with openai.AsyncOpenAI(base_url=agent.url, api_key="k") as client:
            await client.chat.completions.create(model="m", messages=MESSAGES)
        return HttpResponse("answer", status=503)

    inner = [path("ask/<int:id>", answer), path("stream", stream), path("awaited", awaited)]
    return [path("health", health), path("api/", include(inner))]


@pytest.fixture(params=["wsgi", "asgi"])
def django_url(request: pytest.FixtureRequest, captured: Captured) -> Iterator[str]:
    urls = ModuleType("fanlight_test_urls")
    vars(urls)["urlpatterns"] = django_urls()
    sys.modules["fanlight_test_urls"] = urls
    if not settings.configured:
        settings.configure(
            ROOT_URLCONF="fanlight_test_urls", ALLOWED_HOSTS=["*"], SECRET_KEY="k", LOGGING_CONFIG=None
        )
        django.setup()
    serve: Any = served_wsgi(WSGIHandler()) if request.param == "wsgi" else served_asgi(ASGIHandler())
    with serve as served:
        yield served


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume synchronous iterators:Warning")
def test_django_requests_are_actions_named_by_their_route(captured: Captured, django_url: str) -> None:
    runtime.user = "x-user"
    assert ask(f"{django_url}/health", "GET").body == b"fine"
    assert ask(f"{django_url}/api/ask/4711", x_user="u-1", method="GET").body == b"answer"
    assert ask(f"{django_url}/api/stream", "GET").body == b"part"
    assert ask(f"{django_url}/api/awaited", "GET").status == 503
    assert told(captured, 3) == [
        Told("GET /api/ask/<int:id>", user="u-1"),
        Told("GET /api/stream"),
        Told("GET /api/awaited", error="503"),
    ]


def test_off_again_nothing_is_watched(captured: Captured) -> None:
    watched = (flask.Flask.__call__, WSGIHandler.__call__, ASGIHandler.__call__, WSGIHandler.resolve_request)
    patches.uninstall_all()
    for before in watched:
        assert not hasattr(getattr(before, "__wrapped__"), "__wrapped__")  # noqa: B009
    for now in (
        flask.Flask.__call__,
        WSGIHandler.__call__,
        ASGIHandler.__call__,
        WSGIHandler.resolve_request,
    ):
        assert not hasattr(now, "__wrapped__")
    with served_wsgi(flask_app()) as url:
        assert ask(f"{url}/ask/1").status == 200
    assert captured.spans == []


def test_an_app_that_starts_its_answer_with_the_first_part_shows_its_error(captured: Captured) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        agent.call()
        start_response("503 Service Unavailable", [("Content-Type", "text/plain")])
        yield b"busy"

    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "REMOTE_ADDR": "127.0.0.1"}
    body = Middleware(app)(environ, lambda *_: None)
    assert list(body) == [b"busy"]
    body.close()  # type: ignore[attr-defined]  # as every server does
    (action,) = captured.with_role("action")
    assert action.attributes["error.type"] == "503"
