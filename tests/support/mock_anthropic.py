"""Anthropic's wire format for the mock provider: messages, at Anthropic and at Vertex.

Shapes follow https://docs.anthropic.com/en/api/messages and /messages-streaming: its `input_tokens` are
those that were neither read from the cache nor written to it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from mock_reply import (
    CACHE_WRITE_TOKENS,
    CACHED_TOKENS,
    REASONING_TOKENS,
    Json,
    Reply,
    count_tokens,
    output_tokens,
    server_sent,
)

_ids = itertools.count(1)


def messages(body: Json, path: str) -> Reply:
    """`/v1/messages`."""
    output = output_tokens(body)
    uncached = count_tokens(body.get("messages", [])) + count_tokens(body.get("system", ""))
    model = f"{body.get('model', 'm')}-2026"
    usage = {
        "input_tokens": uncached,
        "cache_creation_input_tokens": CACHE_WRITE_TOKENS,
        "cache_read_input_tokens": CACHED_TOKENS,
        "output_tokens": output,
        "output_tokens_details": {"thinking_tokens": REASONING_TOKENS},
    }
    message = {
        "id": f"msg_{next(_ids)}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": " ".join(["word"] * output)}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }
    said = {
        "answered_by": model,
        "finish": ["end_turn"],
        "cached": CACHED_TOKENS,
        "cache_write": CACHE_WRITE_TOKENS,
        "reasoning": REASONING_TOKENS,
    }
    asked = uncached + CACHED_TOKENS + CACHE_WRITE_TOKENS
    return Reply(message, _events(message, output), asked, output, said)


def _events(message: Json, output: int) -> list[Any]:
    def event(kind: str, *, generated: bool = False, **more: Any) -> Any:
        return server_sent({"type": kind, **more}, text=generated, name=kind)

    usage = message["usage"]
    begun = {**message, "content": [], "stop_reason": None}
    begun["usage"] = {key: usage[key] for key in usage if "output" not in key} | {"output_tokens": 1}
    block = {"type": "text", "text": ""}
    piece = {"type": "text_delta", "text": "word "}
    return [
        event("message_start", message=begun),
        event("content_block_start", index=0, content_block=block),
        event("ping"),
        *(event("content_block_delta", generated=True, index=0, delta=piece) for _ in range(output)),
        event("content_block_stop", index=0),
        event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage=usage),
        event("message_stop"),
    ]


def vertex(body: Json, path: str) -> Reply:
    """The same at Vertex, whose path names the model."""
    return messages({**body, "model": "m"}, path)


def count(body: Json, path: str) -> Reply:
    """`/v1/messages/count_tokens`: no model runs."""
    return Reply({"input_tokens": count_tokens(body.get("messages", []))})


FORMATS: dict[str, Callable[[Json, str], Reply]] = {
    "/v1/messages": messages,
    "/v1/messages/count_tokens": count,
    "/publishers/anthropic/models/m:rawPredict": vertex,
    "/publishers/anthropic/models/m:streamRawPredict": vertex,
    "/publishers/anthropic/models/count-tokens:rawPredict": count,
}
