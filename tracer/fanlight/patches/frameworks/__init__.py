"""Agent frameworks: their agents and tools become steps of the action, without a line from the user.

One file for each; the table at its head says what becomes a step. What a framework calls a chain, node, task,
turn, prompt or parser is none, and model calls are seen below, at the SDK and on the wire. A file is loaded
when its framework is.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from types import ModuleType

from fanlight.patches._hooks import Hook

# Which file knows what is done to a module of a framework.
FAMILIES = {
    "agents.tracing.spans": "openai_agents",
    "agents.tracing.traces": "openai_agents",
    "langgraph.pregel.main": "langchain",
    "langchain_core.tools.base": "langchain",
    "mcp.client.session": "mcp",
    "mcp.shared.session": "mcp",
    "mcp.shared.jsonrpc_dispatcher": "mcp",
    "mcp.server.lowlevel.server": "mcp",
    "mcp.server.runner": "mcp",
    "mcp.server._otel": "mcp",
    "pydantic_ai.agent": "pydantic_ai",
    "pydantic_ai.tool_manager": "pydantic_ai",
    "llama_index.core.agent.workflow.base_agent": "llama_index",
    "llama_index.core.agent.workflow.multi_agent_workflow": "llama_index",
    "llama_index.core.tools.calling": "llama_index",
    "crewai.agent.core": "crewai",
    "crewai.crew": "crewai",
    "crewai.flow.runtime": "crewai",
    "crewai.tools.base_tool": "crewai",
    "crewai.tools.structured_tool": "crewai",
    "smolagents.agents": "smolagents",
    "smolagents.tools": "smolagents",
    "claude_agent_sdk._internal.client": "claude_agent",
    "claude_agent_sdk.client": "claude_agent",
    "claude_agent_sdk._internal.query": "claude_agent",
    "claude_agent_sdk._internal.transport.subprocess_cli": "claude_agent",
}


def _patch(name: str, module: ModuleType) -> list[Hook]:
    family = importlib.import_module(f"{__name__}.{FAMILIES[name]}")
    hooks: list[Hook] = family.PATCHES[name](module)
    return hooks


# What is done to a module once it is loaded.
PATCHES: dict[str, Callable[[ModuleType], list[Hook]]] = {
    name: functools.partial(_patch, name) for name in FAMILIES
}
