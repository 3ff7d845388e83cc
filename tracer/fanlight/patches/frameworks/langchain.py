"""LangChain and LangGraph: runs of compiled graphs are agents, runs of tools are tools.

| of the framework | is |
| --- | --- |
| run of a compiled graph: `create_agent`, `StateGraph`, `@entrypoint`, subgraphs | `invoke_agent NAME` |
| run of a tool (`BaseTool`) | `execute_tool NAME` |
| nodes, `@task`s, chains, prompts, parsers, retrievers, models | no step |

A graph without a name has that of the node that it runs in. Everything that runs a graph (`invoke`, `batch`,
`astream_events`, ...) goes through `stream` or `astream`, so a run outside any action is one cascade, async
graphs too. Not by callbacks: the manager of async ones runs them in tasks of their own, where nothing can be
made current for what follows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from fanlight._current import not_failures
from fanlight.patches._hooks import Hook
from fanlight.patches.frameworks._steps import agent_step, tool_step, watch, watch_handled_errors

_UNNAMED = "LangGraph"  # what LangGraph calls a graph without a name


def _patch_graphs(module: ModuleType) -> list[Hook]:
    not_failures(sys.modules["langgraph.errors"].GraphBubbleUp)  # interrupts, commands to the parent
    return [watch(module.Pregel, name, agent_step(_graph_name)) for name in ("stream", "astream")]


def _patch_tools(module: ModuleType) -> list[Hook]:
    return [
        *(watch(module.BaseTool, name, tool_step(_tool_name)) for name in ("run", "arun")),
        *(
            watch_handled_errors(module, name)
            for name in ("_handle_tool_error", "_handle_validation_error")
            if hasattr(module, name)
        ),
    ]


PATCHES: dict[str, Callable[[ModuleType], list[Hook]]] = {
    "langgraph.pregel.main": _patch_graphs,
    "langchain_core.tools.base": _patch_tools,
}


def _tool_name(tool: Any, *_: Any, **__: Any) -> object:
    return tool.name


def _graph_name(graph: Any, _: Any = None, config: Any = None, **__: Any) -> object:
    if graph.name != _UNNAMED:
        return graph.name
    return _node(config) or _node(_config_here()) or _UNNAMED


def _node(config: Any) -> object:
    return ((config or {}).get("metadata") or {}).get("langgraph_node")


def _config_here() -> Any:
    """What a node hands on to what it calls without a config."""
    return sys.modules["langchain_core.runnables.config"].var_child_runnable_config.get()
