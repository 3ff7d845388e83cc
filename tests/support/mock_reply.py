"""What a wire format of the mock provider gives back: an answer, the same as a stream, and what it costs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
OUTPUT_TOKENS = 25
CACHED_TOKENS = 3
CACHE_WRITE_TOKENS = 2
REASONING_TOKENS = 5


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream; `text` is True where it carries one generated token."""

    data: bytes
    text: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer, the same as a stream, and what it costs."""

    body: Json
    events: list[Event] = field(default_factory=list)
    input_tokens: int = 0  # cached ones included
    output_tokens: int = 0  # reasoning included
    said: Json = field(
        default_factory=dict
    )  # model, finish reasons and other tokens that it tells, as a span has them
    streamed: bool | None = None  # whether a stream was asked for; None: the body's `stream` says it
    content_type: str = "text/event-stream"  # of the stream
    # What later GETs below a path are answered with, one after the other, the last again and again; `{base}`
    # stands for the scenario's own address.
    later: dict[str, list[Json | str]] = field(default_factory=dict)


def count_tokens(value: object) -> int:
    """One token a word, and four a message: any rule will do that only the provider knows."""
    if isinstance(value, str):
        return len(value.split())
    if isinstance(value, list):
        return sum(count_tokens(item) + (4 if isinstance(item, dict) else 0) for item in value)
    if isinstance(value, dict):
        return count_tokens(value.get("content", value.get("text", "")))
    return 1


def output_tokens(body: Json) -> int:
    """Tokens that are generated: as many as always, or as the limit allows."""
    for key in ("max_completion_tokens", "max_tokens", "max_output_tokens"):
        if isinstance(body.get(key), int):
            return min(OUTPUT_TOKENS, body[key])
    return OUTPUT_TOKENS


def server_sent(value: Json, *, text: bool = False, name: str | None = None) -> Event:
    """A server-sent event with JSON data."""
    head = f"event: {name}\n" if name else ""
    return Event(f"{head}data: {compact(value)}\n\n".encode(), text)


def compact(value: Json) -> str:
    """JSON as servers write it."""
    return json.dumps(value, separators=(",", ":"))
