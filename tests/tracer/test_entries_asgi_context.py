"""Requests to ASGI apps that come from an action or a trace elsewhere, or stand inside one here."""

import asyncio
from typing import Any

import pytest
from opentelemetry import propagate
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import fanlight
from asgi_agent import Agent, agent, fast_app, url
from entry_trees import Told, told
from fanlight._inheritance import continue_action
from fanlight._runtime import runtime
from fanlight.testing import Captured
from fanlight_schema import attributes as names
from serving import ask, eventually, served_asgi

__all__ = ["agent", "url"]  # fixtures


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
