"""Claude Agent SDK: what its command-line program says of its work becomes the steps and calls of the action.

| of the SDK | is |
| --- | --- |
| `query`, and each turn of a `ClaudeSDKClient` until its result | `invoke_agent claude` |
| tool use, until its result: the program's own tools and those of MCP servers | `execute_tool NAME` |
| sub-agent of an `Agent` or `Task` tool | `invoke_agent TYPE`, below that tool |
| message of the model | a call without a wire: the program sends its requests itself |
| permissions, hooks, control messages | no step |

The messages are seen as the program sends them, before the app reads them. With a message it tells the output
tokens at its start, so those are unknown. A sub-agent's last words are no message, unless the app asks for
them; the result of its tool tells their usage. Tools in this process, behind an SDK MCP server, are below the
step that the program's tool use opened. The program itself gets TRACEPARENT and BAGGAGE.
"""

from __future__ import annotations

import functools
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

from opentelemetry.context import Context, get_current
from opentelemetry.trace import SpanKind, get_current_span

from fanlight._guard import guarded
from fanlight._runtime import runtime
from fanlight._spans import LiveSpan, start_span, suppressed
from fanlight._steps import open_agent, open_tool
from fanlight.patches._carry import call_in
from fanlight.patches._hooks import Hook
from fanlight.patches.frameworks._steps import agent_step, step_name, watch
from fanlight.patches.frameworks.mcp import TOOL_ERROR, add_carrier
from fanlight_schema import attributes as names

AGENT = "claude"
_SUB_AGENT_TOOLS = ("Agent", "Task")
_TOOL_USE_ID = "claudecode/toolUseId"  # in `_meta` of the program's calls of MCP tools
_CALL = {names.OPERATION_NAME: "chat", names.PROVIDER_NAME: "anthropic"}
_USAGE = (
    ("cache_read_input_tokens", names.CACHE_READ_TOKENS),
    ("cache_creation_input_tokens", names.CACHE_WRITE_TOKENS),
)


class _Run:
    """What one running program has told so far of the turn that it works on."""

    def __init__(self, context: Context) -> None:
        self._context = context
        current = get_current_span(context)
        self._agent = current if isinstance(current, LiveSpan) and current.role == "agent" else None
        self._own = False  # the turn's span is ours to end
        self._tools: dict[str, tuple[LiveSpan, ...]] = {}  # by tool use: its span, and its sub-agent's
        self._places: dict[str, Context] = {}  # by tool use: where what it does stands
        self._answers: set[str] = set()  # ids of the messages of the model
        self._spoke_ns: dict[str | None, int] = {None: time.time_ns()}
        self._spoke: dict[str | None, str] = {}  # by sub-agent's tool use: who spoke last, model or user

    def begin(self, context: Context) -> None:
        """The app asks; while a turn is open it belongs to that."""
        self._spoke_ns[None] = time.time_ns()
        if not self._own:
            self._agent = call_in(context, open_agent, AGENT)
            self._context = self._agent.context
            self._own = True

    def end(self, error_type: str | None) -> None:
        for spans in self._tools.values():
            _end(spans, None)
        self._tools.clear()
        self._places.clear()
        self._answers.clear()
        self._spoke.clear()
        self._spoke_ns = {None: time.time_ns()}
        if self._agent is not None and error_type is not None:
            self._agent.error(error_type)
        if self._agent is not None and self._own:
            self._agent.end()
            self._own = False

    def place(self, tool_use: object) -> Context:
        """Where the work for a tool use stands; the turn's place for that of the agent itself."""
        return self._places.get(str(tool_use), self._context)

    def hear(self, message: Mapping[str, Any]) -> None:
        kind, parent = message.get("type"), message.get("parent_tool_use_id")
        if kind == "result":
            self.end(str(message.get("subtype")) if message.get("is_error") else None)
        elif kind == "assistant":
            self._answered(message["message"], parent)
            for block in _blocks(message, "tool_use"):
                self._use(block, parent)
        elif kind == "user":
            for block in _blocks(message, "tool_result"):
                self._used(block, message.get("tool_use_result"))
        if kind in ("assistant", "user"):
            self._spoke_ns[parent] = time.time_ns()
            self._spoke[parent] = kind

    def _use(self, block: Mapping[str, Any], parent: object) -> None:
        place = self.place(parent)
        tool = call_in(place, open_tool, step_name(block["name"]))
        spans: tuple[LiveSpan, ...] = (tool,)
        below = tool.context
        if block["name"] in _SUB_AGENT_TOOLS:
            kind = (block.get("input") or {}).get("subagent_type") or AGENT
            sub_agent = call_in(below, open_agent, step_name(kind))
            spans, below = (sub_agent, tool), sub_agent.context
            self._spoke_ns[block["id"]] = time.time_ns()
        self._tools[block["id"]] = spans
        self._places[block["id"]] = below

    def _used(self, block: Mapping[str, Any], outcome: object) -> None:
        use = block["tool_use_id"]
        spans = self._tools.pop(use, ())
        unheard = len(spans) > 1 and self._spoke.get(use) != "assistant"
        if unheard and isinstance(outcome, Mapping) and outcome.get("status") == "completed":
            usage = outcome.get("usage") or {}
            self._call(use, outcome.get("resolvedModel"), {**_tokens(usage), **_output_tokens(usage)})
        _end(spans, TOOL_ERROR if block.get("is_error") else None)

    def _answered(self, answer: Mapping[str, Any], parent: str | None) -> None:
        """One message of the model comes in pieces; the first one says that there was a call."""
        if answer["id"] in self._answers or answer.get("model") == "<synthetic>":  # the program's own words
            return
        self._answers.add(answer["id"])
        tokens = _tokens(answer.get("usage") or {})
        self._call(parent, answer.get("model"), {names.RESPONSE_ID: answer["id"], **tokens})

    def _call(self, parent: str | None, model: object, attributes: Mapping[str, Any]) -> None:
        """A call that is over: it began when its agent had all that it asked for."""
        said = {names.RESPONSE_MODEL: step_name(model)} if model else {}
        call = start_span(
            f"chat {step_name(model)}" if model else "chat",
            "call",
            kind=SpanKind.CLIENT,
            attributes={**_CALL, **said, **attributes},
            start_time_ns=self._spoke_ns.get(parent, self._spoke_ns[None]),
            parent=self.place(parent),
        )
        call.end()


def _tokens(usage: Mapping[str, Any]) -> dict[str, Any]:
    """Anthropic's input tokens are those beside the cache's."""
    if not isinstance(usage.get("input_tokens"), int):
        return {}
    cached = {name: usage[key] for key, name in _USAGE if isinstance(usage.get(key), int)}
    return {
        names.INPUT_TOKENS: usage["input_tokens"] + sum(cached.values()),
        **cached,
        names.USAGE_SOURCE: "reported",
    }


def _output_tokens(usage: Mapping[str, Any]) -> dict[str, Any]:
    count = usage.get("output_tokens")
    return {names.OUTPUT_TOKENS: count} if isinstance(count, int) else {}


def _blocks(message: Mapping[str, Any], kind: str) -> Iterator[Mapping[str, Any]]:
    content = message["message"].get("content")
    for block in content if isinstance(content, list) else ():
        if isinstance(block, Mapping) and block.get("type") == kind:
            yield block


def _end(spans: tuple[LiveSpan, ...], error_type: str | None) -> None:
    for span in spans:
        if error_type is not None:
            span.error(error_type)
        span.end()


_runs: weakref.WeakKeyDictionary[Any, _Run] = weakref.WeakKeyDictionary()  # by transport


def _patch_queries(module: ModuleType) -> list[Hook]:
    def name_of(*_: Any, **__: Any) -> object:
        return AGENT

    return [watch(module.InternalClient, "process_query", agent_step(name_of))]


def _patch_clients(module: ModuleType) -> list[Hook]:
    return [_watch_asking(module.ClaudeSDKClient, name) for name in ("connect", "query")]


def _patch_protocol(module: ModuleType) -> list[Hook]:
    return [
        _watch_call(module.Query, "start", _started),
        _watch_call(module.Query, "close", _closed),
        _watch_mcp(module.Query),
    ]


def _patch_transport(module: ModuleType) -> list[Hook]:
    hook = Hook(module.SubprocessCLITransport, "read_messages")
    original = hook.original

    @functools.wraps(original)
    def read_messages(transport: Any) -> AsyncIterator[Any]:
        messages: AsyncIterator[Any] = original(transport)
        return _heard(transport, messages) if hook.on and transport in _runs else messages

    hook.put(read_messages)
    return [hook]


PATCHES: dict[str, Callable[[ModuleType], list[Hook]]] = {
    "claude_agent_sdk._internal.client": _patch_queries,
    "claude_agent_sdk.client": _patch_clients,
    "claude_agent_sdk._internal.query": _patch_protocol,
    "claude_agent_sdk._internal.transport.subprocess_cli": _patch_transport,
}


async def _heard(transport: Any, messages: Any) -> AsyncIterator[Any]:
    try:
        async for message in messages:
            _hear(transport, message)
            yield message
    finally:
        await messages.aclose()


@guarded
def _hear(transport: Any, message: Any) -> None:
    run = _runs.get(transport)
    if run is not None and runtime.on:
        run.hear(message)


def _watch_asking(owner: Any, name: str) -> Hook:
    """A turn begins when the app has asked: by a query, or by connecting with a prompt."""
    hook = Hook(owner, name)
    original = hook.original

    @functools.wraps(original)
    async def ask(client: Any, *args: Any, **kwargs: Any) -> Any:
        if name == "query" and hook.on:
            _begin(client)
        result = await original(client, *args, **kwargs)
        if name == "connect" and hook.on and (args or kwargs.get("prompt")):
            _begin(client)
        return result

    hook.put(ask)
    return hook


@guarded
def _begin(client: Any) -> None:
    run = _runs.get(client._transport)
    if run is not None and runtime.on and not suppressed():
        run.begin(get_current())


def _watch_call(owner: Any, name: str, before: Callable[[Any], None]) -> Hook:
    hook = Hook(owner, name)
    original = hook.original
    noted = guarded(before)

    @functools.wraps(original)
    async def call(query: Any, *args: Any, **kwargs: Any) -> Any:
        if hook.on and runtime.on:
            noted(query)
        return await original(query, *args, **kwargs)

    hook.put(call)
    return hook


def _started(query: Any) -> None:
    if not suppressed():
        _runs[query.transport] = _Run(get_current())


def _closed(query: Any) -> None:
    run = _runs.pop(query.transport, None)
    if run is not None:
        run.end(None)


def _watch_mcp(owner: Any) -> Hook:
    """The program calls a tool of an MCP server in this process."""
    hook = Hook(owner, "_handle_sdk_mcp_request")
    original = hook.original

    @functools.wraps(original)
    async def handle(query: Any, server_name: str, message: Any) -> Any:
        placed = _placed(query, message) if hook.on and runtime.on else None
        return await original(query, server_name, message if placed is None else placed)

    hook.put(handle)
    return hook


@guarded
def _placed(query: Any, message: Any) -> Any:
    run, params = _runs.get(query.transport), message.get("params") or {}
    meta = dict(params.get("_meta") or {})
    if run is None or _TOOL_USE_ID not in meta:
        return None
    add_carrier(meta, run.place(meta[_TOOL_USE_ID]))
    return {**message, "params": {**params, "_meta": meta}}
