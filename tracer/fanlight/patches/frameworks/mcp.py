"""Model Context Protocol: an action crosses from client to server, and back, in `params._meta`.

| of the SDK (1.x and 2.x) | is |
| --- | --- |
| request of a client or a server | carries `traceparent`, `tracestate` and `baggage` in `_meta` |
| handling of a request | goes on with the action that its `_meta` names |
| `ClientSession.call_tool` | `execute_tool NAME`, unless it is what a tool step of that name does |
| `tools/call` at a server | `execute_tool NAME`, where no client with fanlight has that step already |
| everything else (prompts, resources, lists, pings) | no step |

The names in `_meta` are those of OpenTelemetry's conventions for MCP and of the SDK itself (SEP-414). A
server may be somebody else's: `baggage` holds the action's ids, and neither user, session nor name.
https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/mcp.md
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import ModuleType
from typing import Any

from opentelemetry.context import Context, attach, get_current
from opentelemetry.trace import get_current_span

from fanlight._baggage import format_baggage, members_of
from fanlight._carrier import context_of, headers_of
from fanlight._cascade import cascade_in, entry_in, here, with_cascade, without_cascade
from fanlight._current import detach
from fanlight._guard import guarded
from fanlight._runtime import runtime
from fanlight._spans import LiveSpan, suppressed
from fanlight._web import believes
from fanlight.patches._hooks import Hook
from fanlight.patches.frameworks._steps import tool_step, watch
from fanlight_schema import attributes as names

TOOL_ERROR = "tool_error"  # error.type of a result with isError, by OpenTelemetry's conventions for MCP
_PRIVATE = frozenset({names.USER_ID, names.SESSION_ID, names.ACTION_NAME})

# What came with a request: its `_meta` and, of a tools/call, the name of the tool.
Asked = tuple[Mapping[str, Any], object]


def _patch_client(module: ModuleType) -> list[Hook]:
    session = module.ClientSession
    hooks = [watch(session, "call_tool", tool_step(_called_tool), _note_result)]
    for name, read in (("_on_request", _asked), ("_received_request", _asked_v1)):
        if hasattr(session, name):
            hooks.append(_resume(session, name, read))
    return hooks


def _patch_server(module: ModuleType) -> list[Hook]:
    runner = module.ServerRunner
    return [
        watch(runner, "_on_request", tool_step(_served_tool), _note_result),
        _resume(runner, "_on_request", _asked),
    ]


def _patch_server_v1(module: ModuleType) -> list[Hook]:
    server = module.Server
    if not hasattr(server, "_handle_request"):
        return []  # 2.x, where this is the runner's
    return [
        watch(server, "_handle_request", tool_step(_served_tool_v1)),
        _resume(server, "_handle_request", _asked_v1),
    ]


def _patch_dispatcher(module: ModuleType) -> list[Hook]:
    """2.x puts the trace's part of the context into `_meta` itself, at one place."""
    hook = Hook(module, "inject_trace_context")
    original = hook.original

    @functools.wraps(original)
    def inject_trace_context(meta: dict[str, Any]) -> None:
        original(meta)
        if hook.on and runtime.on:
            add_carrier(meta, here())

    hook.put(inject_trace_context)
    return [hook]


def _patch_sessions_v1(module: ModuleType) -> list[Hook]:
    hook = Hook(module.BaseSession, "send_request")
    original = hook.original

    @functools.wraps(original)
    async def send_request(session: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        if hook.on and runtime.on:
            request = _with_carrier(request) or request
        return await original(session, request, *args, **kwargs)

    hook.put(send_request)
    return [hook]


def _patch_server_spans(module: ModuleType) -> list[Hook]:
    """2.x makes the caller's span current again, above a step of ours: then it stays below that."""
    hook = Hook(module, "extract_trace_context")
    original = hook.original

    @functools.wraps(original)
    def extract_trace_context(meta: Any) -> Any:
        if hook.on and isinstance(get_current_span(), LiveSpan):
            return None
        return original(meta)

    hook.put(extract_trace_context)
    return [hook]


PATCHES: dict[str, Callable[[ModuleType], list[Hook]]] = {
    "mcp.client.session": _patch_client,
    "mcp.shared.session": _patch_sessions_v1,
    "mcp.shared.jsonrpc_dispatcher": _patch_dispatcher,
    "mcp.server.lowlevel.server": _patch_server_v1,
    "mcp.server.runner": _patch_server,
    "mcp.server._otel": _patch_server_spans,
}


@guarded
def add_carrier(meta: dict[str, Any], context: Context) -> None:
    """Have a request's `_meta` name this place in an action."""
    for name, value in headers_of(context).items():
        if name != "baggage":
            meta.setdefault(name, value)
    cascade = cascade_in(context)
    if cascade is None:
        return
    own = format_baggage(member for member in members_of(cascade) if member[0] not in _PRIVATE)
    meta["baggage"] = f"{own},{meta['baggage']}" if meta.get("baggage") else own


@guarded
def _with_carrier(request: Any) -> Any:
    """A request of 1.x with the context in it: a copy, for the app may send its own again."""
    asked = getattr(request, "root", request)
    params = asked.params
    if params is None:
        return request
    given = {} if params.meta is None else params.meta.model_dump(by_alias=True, exclude_none=True)
    meta = dict(given)
    add_carrier(meta, here())
    if meta == given:
        return request
    kind: Any = next(vars(base)["Meta"] for base in type(params).__mro__ if "Meta" in vars(base))
    asked = asked.model_copy(update={"params": params.model_copy(update={"meta": kind(**meta)})})
    return request.model_copy(update={"root": asked}) if hasattr(request, "root") else asked


def _resume(owner: Any, name: str, read: Callable[..., Asked]) -> Hook:
    hook = Hook(owner, name)
    original = hook.original

    @functools.wraps(original)
    async def handle(*args: Any, **kwargs: Any) -> Any:
        context = _place(read, args, kwargs) if hook.on and runtime.on else None
        if context is None:
            return await original(*args, **kwargs)
        token = attach(context)
        try:
            return await original(*args, **kwargs)
        finally:
            detach(token)

    hook.put(handle)
    return hook


@guarded
def _place(read: Callable[..., Asked], args: Any, kwargs: Any) -> Context | None:
    meta, tool = read(*args, **kwargs)
    if "traceparent" not in meta or suppressed():
        return None
    around = get_current()
    entry = entry_in(around)
    if entry is not None:  # of the web request that only brings it
        if not believes(entry.caller):
            return None
        around = without_cascade(around)
    context = context_of(meta, around)
    cascade = cascade_in(context)
    if tool is None or cascade is None or not _from_fanlight(meta):
        return context
    return with_cascade(replace(cascade, step=f"execute_tool {tool}"), context)  # which the client has


def _asked(_: Any, __: Any, method: str, params: Any = None) -> Asked:
    params = params or {}
    meta = params.get("_meta")
    return meta if isinstance(meta, Mapping) else {}, params.get("name") if method == "tools/call" else None


def _asked_v1(_: Any, message: Any, request: Any = None, *__: Any, **___: Any) -> Asked:
    meta = message.request_meta
    tool = request.params.name if getattr(request, "method", None) == "tools/call" else None
    return {} if meta is None else meta.model_dump(by_alias=True, exclude_none=True), tool


def _served_tool(*args: Any, **kwargs: Any) -> object:
    return _unless_step(*_asked(*args, **kwargs))


def _served_tool_v1(*args: Any, **kwargs: Any) -> object:
    return _unless_step(*_asked_v1(*args, **kwargs))


def _unless_step(meta: Mapping[str, Any], tool: object) -> object:
    entry = entry_in(here())  # still there where its caller is not believed
    client_has_it = _from_fanlight(meta) and (entry is None or believes(entry.caller))
    return None if tool is None or client_has_it else _called_tool(None, tool)


def _from_fanlight(meta: Mapping[str, Any]) -> bool:
    return names.ACTION_ID in str(meta.get("baggage"))


def _called_tool(_: Any, name: Any = None, *__: Any, **___: Any) -> object:
    """None where the running step is that tool."""
    cascade = cascade_in(here())
    step = "" if cascade is None else cascade.step or ""
    return (
        None if step.startswith("execute_tool ") and _names(step[len("execute_tool ") :], str(name)) else name
    )


def _names(step: str, tool: str) -> bool:
    """Whether a step's name is that of a tool: agent frameworks put the server's before it, as in
    `research_search`. `research` is another tool than `search`.
    """
    before = step.removesuffix(tool)
    return before == "" or (before != step and not before[-1].isalnum())


def _note_result(span: LiveSpan, result: Any) -> None:
    found = result.get("isError") if isinstance(result, Mapping) else _is_error(result)
    if found is True and span.role == "tool":
        span.error(TOOL_ERROR)


def _is_error(result: Any) -> object:
    return result.is_error if hasattr(result, "is_error") else getattr(result, "isError", False)
