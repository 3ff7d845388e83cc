"""smolagents: runs of agents are agents, calls of tools are tools.

| of the framework | is |
| --- | --- |
| run of a `ToolCallingAgent` or `CodeAgent`, managed ones included | `invoke_agent NAME`, else its class |
| call of a `Tool`, by a model's tool call or by the code that it wrote | `execute_tool NAME` |
| `final_answer`, by which a model ends a run; steps, planning | no step |

`_run_stream` is under `run`, streamed or not, and under a managed agent's call.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from fanlight.patches._hooks import Hook
from fanlight.patches.frameworks._steps import agent_step, tool_step, watch

_FINAL = "final_answer"


def _patch_agents(module: ModuleType) -> list[Hook]:
    return [watch(module.MultiStepAgent, "_run_stream", agent_step(_agent_name))]


def _patch_tools(module: ModuleType) -> list[Hook]:
    owners = [module.Tool]
    if "__call__" in vars(getattr(module, "PipelineTool", object)):
        owners.append(module.PipelineTool)
    return [watch(owner, "__call__", tool_step(_tool_name)) for owner in owners]


PATCHES: dict[str, Callable[[ModuleType], list[Hook]]] = {
    "smolagents.agents": _patch_agents,
    "smolagents.tools": _patch_tools,
}


def _agent_name(agent: Any, *_: Any, **__: Any) -> object:
    return getattr(agent, "name", None) or type(agent).__name__


def _tool_name(tool: Any, *_: Any, **__: Any) -> object:
    return None if tool.name == _FINAL else tool.name
