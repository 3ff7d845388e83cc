"""FastAPI, Starlette and plain ASGI apps in uvicorn: a request that calls a model is an action by itself."""

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware import Middleware as Added
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

import fanlight
from asgi_agent import Agent, agent, fast_app, url
from entry_trees import Told, told
from fanlight import _guard
from fanlight._runtime import runtime
from fanlight.asgi import Middleware
from fanlight.testing import Captured
from fanlight_schema import attributes as names
from serving import ask, served_asgi

__all__ = ["agent", "url"]  # fixtures


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


def test_failures_mark_the_action_and_a_clients_mistake_does_not(captured: Captured, url: str) -> None:
    for path in ("/raises", "/refuses/503", "/refuses/404"):
        ask(url + path)
    assert told(captured, 3) == [
        Told("POST /raises", error="ValueError"),
        Told("POST /refuses/{status}", error="503"),
        Told("POST /refuses/{status}"),
    ]
    assert "secret" not in repr(captured.spans)


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
