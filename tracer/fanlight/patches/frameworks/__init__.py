"""Agent frameworks: their agents and tools become steps of the action, without a line from the user.

One file for each; the table at its head says what becomes a step. What a framework calls a chain, node, task,
turn, prompt or parser is none, and model calls are seen below, at the SDK and on the wire.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from fanlight.patches._hooks import Hook
from fanlight.patches.frameworks import (
    claude_agent,
    crewai,
    langchain,
    llama_index,
    mcp,
    openai_agents,
    pydantic_ai,
    smolagents,
)

_FAMILIES = (openai_agents, langchain, mcp, pydantic_ai, llama_index, crewai, smolagents, claude_agent)

# What is done to a module once it is loaded.
PATCHES: dict[str, Callable[[ModuleType], list[Hook]]] = {
    name: patch for family in _FAMILIES for name, patch in family.PATCHES.items()
}
