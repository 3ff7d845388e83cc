"""What tests of agent frameworks share: prompts that make the mock model call tools, and what is compared."""

from __future__ import annotations

from typing import Any

from fanlight.testing import Captured
from fanlight_schema import attributes as names

SEARCH = '[[search {"query": "a"}]]'
TWO_TOOLS = SEARCH + ' [[broken {"query": "b"}]]'  # called at once; the second one fails


def shapes(captured: Captured) -> list[object]:
    """The names of all spans, as trees."""
    return [tree.shape() for tree in captured.trees()]


def turns(*between: object) -> list[object]:
    """What is below an agent that asks its model, does something, and asks again."""
    return ["chat m", *between, "chat m"]


def errors(captured: Captured) -> dict[str, object]:
    """The error type of each span that failed, by name."""
    failed = [span for span in captured.spans if names.ERROR_TYPE in span.attributes]
    return {span.name: span.attributes[names.ERROR_TYPE] for span in failed}


def assert_counted_once(captured: Captured, *, actions: int = 1) -> None:
    """Every call took one request, all belong to so many actions, and no step carries tokens or text."""
    assert len({span.attributes[names.ACTION_ID] for span in captured.spans}) == actions
    assert {span.attributes[names.REQUESTS] for span in captured.with_role("call")} == {1}
    for step in [*captured.with_role("agent"), *captured.with_role("tool")]:
        allowed = {names.OPERATION_NAME, names.AGENT_NAME, names.TOOL_NAME}
        assert {key for key in step.attributes if key.startswith("gen_ai.")} <= allowed


def unordered(shape: Any) -> Any:
    """A shape, or a list of them, without the order: for what runs in threads beside each other."""
    if isinstance(shape, list):
        return sorted((unordered(one) for one in shape), key=str)
    return (shape[0], unordered(shape[1])) if isinstance(shape, tuple) else shape
