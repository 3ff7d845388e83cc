"""Which tools a mock model calls: those that its prompt tells it to.

A prompt that says `[[search {"query": "a"}]] [[broken {}]] THEN [[finish {}]]` gets both calls at once, and
the next when their results are there. Nothing is kept between requests, so agents may run beside each other.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

_CALL = re.compile(r"\[\[(\w+) (\{.*?\})\]\]")
_TOLD = re.compile(r"""['"]name['"]: ['"](\w+)""")  # where a framework tells of earlier calls in words
_ids = itertools.count(1)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call that the model asks for; `arguments` is JSON."""

    name: str
    arguments: str
    id: str


def asked_calls(body: Json) -> list[ToolCall]:
    """The calls of the first round of which a tool is offered and was not called yet; none if all were."""
    messages = _messages(body)
    offered = {tool.get("function", tool).get("name") for tool in body.get("tools") or []}
    called = {name for message in messages for name in _called(message)}
    prompt = "\n".join(_text(m) for m in messages if m.get("role") in ("system", "developer", "user"))
    for round_text in re.split(r"\bTHEN\b", prompt):
        wanted = [found for found in _CALL.findall(round_text) if found[0] in offered]
        if any(name not in called for name, _ in wanted):
            return [ToolCall(name, arguments, f"call_{next(_ids)}") for name, arguments in wanted]
    return []


def chat_tool_calls(calls: list[ToolCall]) -> list[Json]:
    """As a chat message has them; a stream's delta has the same with an index."""
    return [
        {
            "index": index,
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for index, call in enumerate(calls)
    ]


def response_items(calls: list[ToolCall]) -> list[Json]:
    """As the output of a response has them."""
    return [
        {
            "type": "function_call",
            "id": f"fc_{call.id}",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
            "status": "completed",
        }
        for call in calls
    ]


def _messages(body: Json) -> list[Json]:
    given = body.get("messages", body.get("input", []))
    messages = [{"role": "user", "content": given}] if isinstance(given, str) else list(given)
    return [{"role": "system", "content": body.get("instructions") or ""}, *messages]


def _called(message: Json) -> Iterator[str]:
    if message.get("type") == "function_call":
        yield message["name"]
    for call in message.get("tool_calls") or []:
        yield call["function"]["name"]
    if message.get("role") == "assistant":
        yield from _TOLD.findall(_text(message))


def _text(message: Json) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else " ".join(str(part.get("text", "")) for part in content)
