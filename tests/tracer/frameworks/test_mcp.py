"""Model Context Protocol: real clients and servers in one cascade, over stdio, HTTP and in one process."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import fanlight
from fanlight.testing import Captured
from fanlight_schema import attributes as names
from framework_runs import errors, shapes
from mock_provider import Provider
from otlp_receiver import OtlpReceiver, attributes_of
from process_trees import described_spans, traces_of_actions
from requirements import framework

mcp = framework("mcp")
stdio = framework("mcp.client.stdio")
http = framework("mcp.client.streamable_http")

from mcp_server import make_server  # noqa: E402  (it imports the framework)

SERVER = str(Path(__file__).parents[2] / "support" / "mcp_server.py")


@contextlib.asynccontextmanager
async def over_stdio() -> AsyncIterator[Any]:
    server = mcp.StdioServerParameters(
        command=sys.executable, args=[SERVER], env={"BASE_URL": os.environ["BASE_URL"]}
    )
    async with stdio.stdio_client(server) as streams, mcp.ClientSession(*streams) as session:
        await session.initialize()
        yield session


@contextlib.asynccontextmanager
async def over_http() -> AsyncIterator[Any]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    process = subprocess.Popen([sys.executable, SERVER, str(port)])  # noqa: ASYNC220  (it takes a moment)
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                await asyncio.sleep(0.05)
        connect = getattr(http, "streamable_http_client", None) or http.streamablehttp_client
        async with (
            connect(f"http://127.0.0.1:{port}/mcp") as streams,
            mcp.ClientSession(*streams[:2]) as session,
        ):
            await session.initialize()
            yield session
    finally:
        process.send_signal(signal.SIGINT)  # uvicorn ends by it, and the process as by itself
        process.wait()


@contextlib.asynccontextmanager
async def in_process() -> AsyncIterator[Any]:
    memory = framework("mcp.shared.memory")
    connect = getattr(memory, "create_connected_server_and_client_session", None)
    if connect is not None:  # mcp 1.x
        async with connect(make_server()._mcp_server) as session:
            yield session
        return
    async with mcp.Client(make_server()) as client:
        yield client


TRANSPORTS = {"stdio": over_stdio, "http": over_http}


@pytest.mark.parametrize("transport", TRANSPORTS.values(), ids=TRANSPORTS.keys())
async def test_a_tool_of_a_server_is_one_step_and_its_calls_are_the_actions(
    collector: OtlpReceiver, provider: Provider, monkeypatch: pytest.MonkeyPatch, transport: Any
) -> None:
    monkeypatch.setenv("BASE_URL", provider.scenario())
    fanlight.instrument()
    async with transport() as session:
        with fanlight.action("first", user="u-1"), fanlight.agent("a"):
            calls = [session.call_tool(name, {"query": "x"}) for name in ("search", "broken")]
            await asyncio.gather(*calls)
        with fanlight.action("second"), fanlight.tool("research_search"):
            await session.call_tool("search", {"query": "y"})
    await asyncio.to_thread(fanlight.flush)
    found = described_spans(collector.spans)
    first, second = (node for node in found)
    assert first.name == "first"
    (agent,) = first.below
    tools = {node.name: node for node in agent.below}
    assert set(tools) == {"execute_tool search", "execute_tool broken"}
    assert [node.name for node in tools["execute_tool search"].below] == ["chat m"]
    assert tools["execute_tool broken"].facts == {"error": "tool_error"}
    assert second.name == "second"
    assert [(node.name, [one.name for one in node.below]) for node in second.below] == [
        ("execute_tool research_search", ["chat m"])
    ]
    assert len(traces_of_actions(collector.spans)) == 2
    hops = [attributes_of(span)[names.HOP] for span in collector.spans if span.name == "chat m"]
    assert sorted(hops) == [1, 2]


@pytest.fixture
def base_url(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASE_URL", provider.scenario())


async def test_a_client_and_a_server_in_one_process_are_one_cascade(
    captured: Captured, base_url: None
) -> None:
    async with in_process() as session:
        with fanlight.action("answer"):
            await asyncio.gather(*(session.call_tool("search", {"query": "x"}) for _ in range(2)))
            await session.call_tool("broken", {"query": "x"})
        await session.call_tool("search", {"query": "outside any action"})
        await session.list_tools()
    search = ("execute_tool search", ["chat m"])
    assert shapes(captured) == [("answer", [search, search, "execute_tool broken"]), search]
    assert errors(captured) == {"execute_tool broken": "tool_error"}
    assert len({span.attributes[names.ACTION_ID] for span in captured.spans}) == 2


async def test_what_a_server_gets_names_the_action_and_nobody(captured: Captured, base_url: None) -> None:
    seen: list[Any] = []
    server = make_server()
    context = framework("mcp.server.mcpserver" if hasattr(mcp, "Client") else "mcp.server.fastmcp").Context

    async def look(ctx: Any) -> str:
        """Keep what came."""
        meta = ctx.request_context.meta
        seen.append(dict(meta) if isinstance(meta, dict) else meta.model_dump(exclude_none=True))
        return ""

    look.__annotations__["ctx"] = context
    server.tool()(look)
    async with _connected(server) as session:
        with fanlight.action("answer", user="u-1", session="s-1"):
            await session.call_tool("look", {})
    (meta,) = seen
    root, tool = captured.named("answer"), captured.named("execute_tool look")
    assert meta["traceparent"] == f"00-{root.trace_id}-{tool.span_id}-01"
    assert f"fanlight.action.id={root.trace_id}" in meta["baggage"]
    assert not [word for word in ("u-1", "s-1", "answer") if word in meta["baggage"]]


def _connected(server: Any) -> Any:
    if hasattr(mcp, "Client"):
        return mcp.Client(server, mode="legacy")  # others hand over without any wire
    return framework("mcp.shared.memory").create_connected_server_and_client_session(server._mcp_server)


async def test_a_server_makes_the_step_where_its_client_has_none(
    collector: OtlpReceiver, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client is one without fanlight whose own tracing sends `traceparent` alone."""
    monkeypatch.setenv("BASE_URL", provider.scenario())
    fanlight.instrument()
    parent = f"00-{'a' * 32}-{'b' * 16}-01"
    async with over_http() as session:
        fanlight.patches.uninstall_all()
        for tool in ("search", "broken"):
            params = mcp.types.CallToolRequestParams(
                name=tool, arguments={"query": "x"}, _meta={"traceparent": parent}
            )
            request = mcp.types.CallToolRequest(method="tools/call", params=params)
            if not hasattr(mcp, "Client"):  # 1.x
                request = mcp.types.ClientRequest(request)
            await session.send_request(request, mcp.types.CallToolResult)
    found = described_spans(collector.spans)
    assert [(node.name, [one.name for one in node.below]) for node in found] == [
        ("execute_tool search", ["chat m"]),
        ("execute_tool broken", []),
    ]
    assert traces_of_actions(collector.spans) == {"a" * 32}
    assert {span.parent_span_id.hex() for span in collector.spans if "tool" in span.name} == {"b" * 16}


@pytest.mark.parametrize(("trust", "believed"), [("always", True), ("direct", True), ("never", False)])
async def test_what_meta_says_is_believed_of_whom_headers_are(
    collector: OtlpReceiver, provider: Provider, monkeypatch: pytest.MonkeyPatch, trust: str, believed: bool
) -> None:
    monkeypatch.setenv("BASE_URL", provider.scenario())
    monkeypatch.setenv("FANLIGHT_TRUST_HEADERS", trust)
    fanlight.instrument()
    stranger = {
        "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
        "baggage": f"fanlight.action.id={'a' * 32},user.id=victim",
    }
    async with over_http() as session:
        fanlight.patches.uninstall_all()
        params = mcp.types.CallToolRequestParams(name="search", arguments={"query": "x"}, _meta=stranger)
        request = mcp.types.CallToolRequest(method="tools/call", params=params)
        if not hasattr(mcp, "Client"):  # 1.x
            request = mcp.types.ClientRequest(request)
        await session.send_request(request, mcp.types.CallToolResult)
    names = {span.name for span in collector.spans}
    assert ("a" * 32 in traces_of_actions(collector.spans)) is believed
    assert ("execute_tool search" in names) is not believed  # else the client has that step


@pytest.mark.parametrize(
    ("around", "steps"),
    [
        ("search", ["execute_tool search"]),
        ("research_search", ["execute_tool research_search"]),
        ("research.search", ["execute_tool research.search"]),
        ("research", ["execute_tool research", "execute_tool search"]),
        ("other", ["execute_tool other", "execute_tool search"]),
    ],
)
async def test_a_tool_whose_name_ends_alike_is_another(
    captured: Captured, base_url: None, around: str, steps: list[str]
) -> None:
    async with in_process() as session:
        with fanlight.action("ask"), fanlight.tool(around):
            await session.call_tool("search", {"query": "x"})
    tools = sorted(captured.with_role("tool"), key=lambda span: span.start_time_ns)
    assert [span.name for span in tools] == steps
