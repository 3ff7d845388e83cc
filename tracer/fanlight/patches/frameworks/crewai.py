"""CrewAI: runs of crews and flows are agents, with the work of each agent on each task below.

| of the framework | is |
| --- | --- |
| run of a `Crew`, one for each input | `invoke_agent NAME`, `crew` where it has none |
| run of the app's own `Flow` | `invoke_agent NAME`, its class |
| an agent's work on a task, its retries included, and `Agent.kickoff` | `invoke_agent ROLE` |
| run of a tool, delegation to another agent included | `execute_tool NAME` |
| tasks, methods of flows, the executor's own flow, memory, knowledge, models | no step |

Not by the event bus: its handlers run in threads of their own, where nothing can be made current.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from opentelemetry.trace import get_current_span

from fanlight._spans import LiveSpan
from fanlight.patches._hooks import Hook
from fanlight.patches.frameworks._steps import NameOf, agent_step, step_name, tool_step, watch
from fanlight_schema import attributes as names


def _patch_agents(module: ModuleType) -> list[Hook]:
    methods = (
        "execute_task",
        "aexecute_task",
        "_execute_and_build_output",
        "_execute_and_build_output_async",
    )
    return [_watch_agent(module.Agent, method, _role) for method in methods if hasattr(module.Agent, method)]


def _patch_crews(module: ModuleType) -> list[Hook]:
    return [_watch_agent(module.Crew, method, _crew_name) for method in ("kickoff", "akickoff")]


def _patch_flows(module: ModuleType) -> list[Hook]:
    return [_watch_agent(module.Flow, "kickoff_async", _flow_name)]


def _patch_tools(module: ModuleType) -> list[Hook]:
    return [
        watch(owner, method, tool_step(_tool_name))
        for owner in (module.BaseTool, module.Tool)
        for method in ("run", "arun")
        if method in vars(owner)
    ]


def _patch_structured_tools(module: ModuleType) -> list[Hook]:
    owner = module.CrewStructuredTool
    return [watch(owner, method, tool_step(_tool_name)) for method in ("invoke", "ainvoke")]


PATCHES: dict[str, Callable[[ModuleType], list[Hook]]] = {
    "crewai.agent.core": _patch_agents,
    "crewai.crew": _patch_crews,
    "crewai.flow.runtime": _patch_flows,
    "crewai.tools.base_tool": _patch_tools,
    "crewai.tools.structured_tool": _patch_structured_tools,
}


def _watch_agent(owner: Any, method: str, name_of: NameOf) -> Hook:
    return watch(owner, method, agent_step(lambda runner, *_, **__: _unless_running(name_of(runner))))


def _unless_running(name: object) -> object:
    """None where the running step is that agent: a retry, or a run that is restored, calls itself again."""
    current = get_current_span()
    if name is None or not isinstance(current, LiveSpan) or current.role != "agent":
        return name
    return None if current.attributes.get(names.AGENT_NAME) == step_name(name) else name


def _role(agent: Any) -> object:
    return str(agent.role).strip()


def _crew_name(crew: Any) -> object:
    """None where this call only hands out a stream, whose thread calls again."""
    return None if crew.stream else crew.name or "crew"


def _flow_name(flow: Any) -> object:
    kind = type(flow)
    if kind.__module__.startswith("crewai.") or getattr(flow, "stream", False):
        return None
    return getattr(flow, "name", None) or kind.__name__


def _tool_name(tool: Any, *_: Any, **__: Any) -> object:
    return tool.name
