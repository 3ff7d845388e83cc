"""Cohere's wire format for the mock provider: chat, embed and rerank of API version 2.

Shapes follow https://docs.cohere.com/reference/chat and /chat-stream: `tokens` are those that the model
worked on, `billed_units` what is paid for.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from mock_reply import CACHED_TOKENS, Json, Reply, count_tokens, output_tokens, server_sent

_ids = itertools.count(1)


def chat(body: Json, path: str) -> Reply:
    """`/v2/chat`."""
    output, asked = output_tokens(body), count_tokens(body.get("messages", []))
    usage = {
        "billed_units": {"input_tokens": asked - 1, "output_tokens": output},
        "tokens": {"input_tokens": asked, "output_tokens": output},
        "cached_tokens": CACHED_TOKENS,
    }
    number = f"cohere-{next(_ids)}"
    text = {"type": "text", "text": " ".join(["word"] * output)}
    whole = {
        "id": number,
        "finish_reason": "COMPLETE",
        "message": {"role": "assistant", "content": [text]},
        "usage": usage,
    }
    said = {"finish": ["COMPLETE"], "cached": CACHED_TOKENS}
    return Reply(whole, _events(number, output, usage), asked, output, said)


def _events(number: str, output: int, usage: Json) -> list[Any]:
    def event(kind: str, *, generated: bool = False, **more: Any) -> Any:
        return server_sent({"type": kind, **more}, text=generated, name=kind)

    begun = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    empty = {"message": {"content": {"type": "text", "text": ""}}}
    piece = {"message": {"content": {"text": "word "}}}
    return [
        event("message-start", id=number, delta={"message": begun}),
        event("content-start", index=0, delta=empty),
        *(event("content-delta", generated=True, index=0, delta=piece) for _ in range(output)),
        event("content-end", index=0),
        event("message-end", id=number, delta={"finish_reason": "COMPLETE", "usage": usage}),
    ]


def embed(body: Json, path: str) -> Reply:
    """`/v2/embed`."""
    texts = body.get("texts") or []
    asked = count_tokens(texts)
    whole = {
        "id": f"cohere-{next(_ids)}",
        "embeddings": {"float": [[1.0, 1.0] for _ in texts]},
        "texts": texts,
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": asked}},
        "response_type": "embeddings_by_type",
    }
    return Reply(whole, [], asked, 0)


def rerank(body: Json, path: str) -> Reply:
    """`/v2/rerank`, paid by searches and without tokens."""
    results = [{"index": i, "relevance_score": 0.5} for i in range(len(body.get("documents", [])))]
    meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
    return Reply({"id": f"cohere-{next(_ids)}", "results": results, "meta": meta})


FORMATS: dict[str, Callable[[Json, str], Reply]] = {
    "/v2/chat": chat,
    "/v2/embed": embed,
    "/v2/rerank": rerank,
}
