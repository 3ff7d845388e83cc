"""Pydantic AI: runs of agents are agents, executions of tools are tools.

| of the framework | is |
| --- | --- |
| `Agent.iter`, under `run`, `run_sync`, `run_stream`, `run_stream_events`, ... | `invoke_agent NAME` |
| execution of a function, MCP or other tool with valid arguments | `execute_tool NAME` |
| graph nodes, output tools and functions, deferred and refused calls, models | no step |

Not by a capability or `instrument`: those belong to single agents, or write roll-ups of tokens.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

from opentelemetry.context import attach

from fanlight._current import detach, finish, not_failures
from fanlight.patches._hooks import Hook
from fanlight.patches.frameworks._steps import agent_step, opener, tool_step, watch

_CONTROL_FLOW = ("CallDeferred", "ApprovalRequired", "SkipToolExecution")
_NOT_EXECUTED = ("output", "external")


def _patch_agents(module: ModuleType) -> list[Hook]:
    return [_watch_runs(module.Agent)]


def _patch_tools(module: ModuleType) -> list[Hook]:
    exceptions = sys.modules["pydantic_ai.exceptions"]
    not_failures(*(getattr(exceptions, name) for name in _CONTROL_FLOW if hasattr(exceptions, name)))
    return [watch(module.ToolManager, "execute_tool_call", tool_step(_tool_name))]


PATCHES: dict[str, Callable[[ModuleType], list[Hook]]] = {
    "pydantic_ai.agent": _patch_agents,
    "pydantic_ai.tool_manager": _patch_tools,
}


def _watch_runs(owner: Any) -> Hook:
    hook = Hook(owner, "iter")
    original = hook.original
    opened = opener(hook, agent_step(_agent_name))

    @functools.wraps(original)
    @asynccontextmanager
    async def iterate(agent: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        span = opened(agent)
        token = attach(span.context)
        error: BaseException | None = None
        try:
            async with original(agent, *args, **kwargs) as run:
                yield run
        except BaseException as raised:
            error = raised
            raise
        finally:
            detach(token)
            finish(span, error)

    hook.put(iterate)
    return hook


def _agent_name(agent: Any) -> object:
    return agent.name or "agent"


def _tool_name(_: Any, validated: Any, *__: Any, **___: Any) -> object:
    if not validated.args_valid or getattr(validated, "deferral", None) is not None:
        return None
    return None if validated.tool.tool_def.kind in _NOT_EXECUTED else validated.call.tool_name
