"""LlamaIndex: runs of agents and of agent workflows are agents, calls of tools are tools.

| of the framework | is |
| --- | --- |
| run of an agent (`FunctionAgent`, `ReActAgent`, `CodeActAgent`) | `invoke_agent NAME` |
| run of an `AgentWorkflow` | `invoke_agent AgentWorkflow`; its agents are below, beside each other |
| an agent's turn in an `AgentWorkflow`, until it hands off | `invoke_agent NAME` |
| tool call of an agent, or of `predict_and_call` | `execute_tool NAME` |
| `handoff`, workflow steps, query engines, retrievers, parsers, models | no step |

A run goes on in tasks of the workflow's runtime after `run` has returned, and ends with its handler. Not by
the instrumentation's dispatcher: it tells of spans in tasks other than those that work for them.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from opentelemetry.context import Context, attach, create_key, get_value, set_value

from fanlight._current import detach, finish, not_failures
from fanlight._guard import guarded
from fanlight._spans import LiveSpan
from fanlight._steps import open_agent
from fanlight.patches._hooks import Hook
from fanlight.patches.frameworks._steps import OTHER_ERROR, agent_step, opener, step_name, tool_step, watch

_TEAM = create_key("fanlight.llama_index.team")
_HAND_OFF = "handoff"


class _Team:
    """Whose turn it is in one run of a workflow of agents."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.span: LiveSpan | None = None

    def turn(self, name: str) -> LiveSpan:
        """The span of this agent's turn, which ends that of another."""
        if self.span is None or self.name != name:
            self.end(None)
            self.name, self.span = name, open_agent(step_name(name))
        return self.span

    def end(self, error: BaseException | None) -> None:
        if self.span is not None:
            finish(self.span, error)
            self.span = None


def _patch_chosen_tools(module: ModuleType) -> list[Hook]:
    names = ("call_tool", "acall_tool")
    return [watch(module, name, tool_step(_chosen_tool), _note_result) for name in names]


def _patch_agents(module: ModuleType) -> list[Hook]:
    _know_waiting(module)
    owner = module.BaseWorkflowAgent
    return [_watch_runs(owner, lambda agent: agent.name, None), _watch_tools(owner)]


def _patch_teams(module: ModuleType) -> list[Hook]:
    owner = module.AgentWorkflow
    return [
        _watch_runs(owner, lambda workflow: type(workflow).__name__, _Team),
        _watch_turns(owner, "run_agent_step"),
        _watch_tools(owner),
        _watch_turns(owner, "_call_tool"),
    ]


PATCHES: dict[str, Callable[[ModuleType], list[Hook]]] = {
    "llama_index.core.agent.workflow.base_agent": _patch_agents,
    "llama_index.core.agent.workflow.multi_agent_workflow": _patch_teams,
    "llama_index.core.tools.calling": _patch_chosen_tools,
}


@guarded
def _know_waiting(module: ModuleType) -> None:
    """A tool that waits for a human is called again later."""
    waiting = getattr(module, "_get_waiting_for_event_exception", lambda: None)()
    if waiting is not None:
        not_failures(waiting)


def _watch_runs(owner: Any, name_of: Callable[[Any], object], make_team: type[_Team] | None) -> Hook:
    hook = Hook(owner, "run")
    original = hook.original
    opened = opener(hook, agent_step(lambda runner, *_, **__: name_of(runner)))

    @functools.wraps(original)
    def run(runner: Any, *args: Any, **kwargs: Any) -> Any:
        span = opened(runner)
        team = None if make_team is None else make_team()
        context = span.context if team is None else set_value(_TEAM, team, span.context)
        token = attach(context)
        try:
            handler = original(runner, *args, **kwargs)
        except BaseException as error:
            finish(span, error)
            raise
        finally:
            detach(token)
        _end_with(handler, span, team)
        return handler

    hook.put(run)
    return hook


@guarded
def _end_with(handler: Any, span: LiveSpan, team: _Team | None) -> None:
    def end(task: Any) -> None:
        # Not `task.exception()`: asyncio would take it for seen, and not tell of it.
        error = asyncio.CancelledError() if task.cancelled() else task._exception
        if team is not None:
            team.end(error)
        finish(span, error)

    getattr(handler, "_result_task", handler).add_done_callback(guarded(end))


def _watch_turns(owner: Any, name: str) -> Hook:
    """Have a step of a workflow belong to the agent whose turn it is."""
    hook = Hook(owner, name)
    original = hook.original

    @functools.wraps(original)
    async def step(*args: Any, **kwargs: Any) -> Any:
        context = _turn(kwargs.get("ev", args[-1])) if hook.on else None
        if context is None:
            return await original(*args, **kwargs)
        token = attach(context)
        try:
            return await original(*args, **kwargs)
        finally:
            detach(token)

    hook.put(step)
    return hook


@guarded
def _turn(event: Any) -> Context | None:
    team = get_value(_TEAM)
    if not isinstance(team, _Team):
        return None
    name = getattr(event, "current_agent_name", team.name)
    return None if name is None else team.turn(name).context


def _watch_tools(owner: Any) -> Hook:
    return watch(owner, "_call_tool", tool_step(_called_tool), _note_result)


def _called_tool(_: Any, __: Any, tool: Any, *___: Any, **____: Any) -> object:
    name = tool.metadata.name
    return None if name == _HAND_OFF and get_value(_TEAM) is not None else name


def _chosen_tool(tool: Any, *_: Any, **__: Any) -> object:
    return tool.metadata.name


def _note_result(span: LiveSpan, result: Any) -> None:
    if span.role != "tool" or not getattr(result, "is_error", False):
        return
    error = getattr(result, "exception", None)
    if isinstance(error, BaseException):
        span.fail(error)
    else:
        span.error(OTHER_ERROR)
