"""Ollama's wire format for the mock provider: chat, generate, embed.

Shapes follow https://github.com/ollama/ollama/blob/main/docs/api.md: a stream is lines of JSON, asked for
unless `stream` is false; the last line has the counts and durations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mock_reply import OUTPUT_TOKENS, Event, Json, Reply, compact, count_tokens

CREATED_AT = "2026-11-24T12:00:00Z"
DURATIONS_NS = {
    "total_duration": 900_000_000,
    "load_duration": 100_000_000,
    "prompt_eval_duration": 200_000_000,
    "eval_duration": 600_000_000,
}


def chat(body: Json, path: str) -> Reply:
    """`/api/chat`."""
    return _reply(body, count_tokens(body.get("messages", [])), _message)


def generate(body: Json, path: str) -> Reply:
    """`/api/generate`."""
    return _reply(body, count_tokens(body.get("prompt", "")), lambda text: {"response": text})


def _message(text: str) -> Json:
    return {"message": {"role": "assistant", "content": text}}


def _reply(body: Json, asked: int, piece: Callable[[str], Json]) -> Reply:
    output = min(OUTPUT_TOKENS, (body.get("options") or {}).get("num_predict") or OUTPUT_TOKENS)
    model = body.get("model", "m")
    identity = {"model": model, "created_at": CREATED_AT}
    counts = {"prompt_eval_count": asked, "eval_count": output, **DURATIONS_NS}
    end: Json = {"done": True, "done_reason": "stop", **counts}
    whole = {**identity, **piece("word " * output), **end}

    def line(text: str, **more: Any) -> Event:
        return Event(f"{compact({**identity, **piece(text), **more})}\n".encode(), bool(text))

    events = [*(line("word ", done=False) for _ in range(output)), line("", **end)]
    said = {"answered_by": model, "finish": ["stop"]}
    streamed = body.get("stream", True) is True
    return Reply(whole, events, asked, output, said, streamed, content_type="application/x-ndjson")


def embed(body: Json, path: str) -> Reply:
    """`/api/embed`."""
    given = body.get("input", "")
    many = given if isinstance(given, list) else [given]
    asked = count_tokens(many)
    whole = {
        "model": body.get("model", "m"),
        "embeddings": [[1.0, 1.0] for _ in many],
        "total_duration": 5_000_000,
        "load_duration": 1_000_000,
        "prompt_eval_count": asked,
    }
    return Reply(whole, [], asked, 0, {"answered_by": whole["model"]}, False)


FORMATS: dict[str, Callable[[Json, str], Reply]] = {
    "/api/chat": chat,
    "/api/generate": generate,
    "/api/embed": embed,
}
