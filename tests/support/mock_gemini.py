"""Gemini's wire format for the mock provider: generateContent, its stream, embeddings.

Shapes follow https://ai.google.dev/api/generate-content: `promptTokenCount` includes cached tokens, thoughts
are beside `candidatesTokenCount`, tokens of tool results beside `promptTokenCount`; the model is in the path.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from mock_reply import (
    CACHED_TOKENS,
    OUTPUT_TOKENS,
    REASONING_TOKENS,
    Json,
    Reply,
    count_tokens,
    server_sent,
)

TOOL_PROMPT_TOKENS = 6
_ids = itertools.count(1)


def generate(body: Json, path: str, *, streamed: bool = False) -> Reply:
    """`:generateContent`."""
    limit = (body.get("generationConfig") or {}).get("maxOutputTokens")
    output = min(OUTPUT_TOKENS, limit or OUTPUT_TOKENS)
    prompt = sum(count_tokens(content.get("parts", [])) for content in body.get("contents", []))
    model = f"{path.rpartition('/')[2].partition(':')[0]}-2026"
    usage = {
        "promptTokenCount": prompt,
        "cachedContentTokenCount": CACHED_TOKENS,
        "toolUsePromptTokenCount": TOOL_PROMPT_TOKENS,
        "candidatesTokenCount": output,
        "thoughtsTokenCount": REASONING_TOKENS,
        "totalTokenCount": prompt + TOOL_PROMPT_TOKENS + output + REASONING_TOKENS,
    }
    identity = {"modelVersion": model, "responseId": f"gemini-{next(_ids)}"}
    whole = {**identity, "candidates": [_candidate("word " * output, "STOP")], "usageMetadata": usage}
    said = {
        "answered_by": model,
        "finish": ["STOP"],
        "cached": CACHED_TOKENS,
        "reasoning": REASONING_TOKENS,
    }
    asked, cost = prompt + TOOL_PROMPT_TOKENS, output + REASONING_TOKENS
    return Reply(whole, _events(identity, usage, output), asked, cost, said, streamed)


def stream(body: Json, path: str) -> Reply:
    """`:streamGenerateContent`: every event has the usage so far, and the last one the finish reason."""
    return generate(body, path, streamed=True)


def _candidate(text: str, reason: str | None = None) -> Json:
    content = {"parts": [{"text": text}], "role": "model"}
    return {"content": content, "index": 0, **({"finishReason": reason} if reason else {})}


def _events(identity: Json, usage: Json, output: int) -> list[Any]:
    def event(number: int) -> Any:
        reason = "STOP" if number == output else None
        total = usage["totalTokenCount"] - output + number
        so_far = {**usage, "candidatesTokenCount": number, "totalTokenCount": total}
        return server_sent(
            {"candidates": [_candidate("word ", reason)], "usageMetadata": so_far, **identity}, text=True
        )

    return [event(number) for number in range(1, output + 1)]


def embed(body: Json, path: str) -> Reply:
    """`:batchEmbedContents`, which tells no usage."""
    return Reply({"embeddings": [{"values": [1.0, 1.0]} for _ in body.get("requests", [])]})


def interact(body: Json, path: str) -> Reply:
    """`/interactions` (https://ai.google.dev/api/interactions-api), whole."""
    given = count_tokens(body.get("input", ""))
    model = f"{body.get('model')}-2026"
    usage = {
        "total_input_tokens": given,
        "total_cached_tokens": CACHED_TOKENS,
        "total_output_tokens": OUTPUT_TOKENS,
        "total_thought_tokens": REASONING_TOKENS,
        "total_tokens": given + OUTPUT_TOKENS + REASONING_TOKENS,
    }
    text = {"type": "text", "text": "word " * OUTPUT_TOKENS}
    whole = {"id": f"interaction-{next(_ids)}", "object": "interaction", "model": model, "role": "model"}
    whole |= {"status": "completed", "outputs": [text], "usage": usage}
    said = {
        "answered_by": model,
        "finish": ["stop"],
        "cached": CACHED_TOKENS,
        "reasoning": REASONING_TOKENS,
    }
    return Reply(whole, [], given, OUTPUT_TOKENS + REASONING_TOKENS, said)


FORMATS: dict[str, Callable[[Json, str], Reply]] = {
    ":generateContent": generate,
    ":streamGenerateContent": stream,
    ":batchEmbedContents": embed,
    "/interactions": interact,
}
