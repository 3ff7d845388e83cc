"""Cohere, v1 and v2: https://docs.cohere.com/reference/chat.

    id       id, response_id, generation_id     finish reason   finish_reason
    tokens   usage, by the rule COHERE

v1 has `meta` in place of `usage` and streams one JSON object a line; its last line repeats the whole text.
Cohere's answers name no model, and its reranker counts no tokens.
"""

from __future__ import annotations

from collections.abc import Mapping

from fanlight.capture.answer import Answer
from fanlight.capture.formats.engines import read_tgi_headers
from fanlight.capture.token_rules import COHERE
from fanlight.capture.values import mapping, mappings, text
from fanlight.capture.wire_format import Fields, WireFormat, endpoint


def absorb(answer: Answer, body: Mapping[str, object]) -> bool:
    """Take what an answer, or one event of its stream, says."""
    kind = body.get("type") or body.get("event_type")
    answer.id = text(body.get("response_id")) or answer.id
    if answer.id is None:
        answer.id = text(body.get("id")) or text(body.get("generation_id"))
    answer.model = text(body.get("model")) or answer.model  # other rerankers
    for holder in (body, mapping(body.get("response")), mapping(body.get("delta"))):
        _absorb_end(answer, holder)
    if kind is None and "message" in body and not isinstance(body["message"], dict):
        answer.error_type = "error"  # an error has its text there, and no code
    return kind in ("message-end", "stream-end") or body.get("is_finished") is True


def _absorb_end(answer: Answer, holder: Mapping[str, object]) -> None:
    answer.id = text(holder.get("response_id")) or answer.id
    reason = text(holder.get("finish_reason"))
    if reason is not None:
        answer.finish_reasons[0] = reason
    for place, generation in mappings(holder.get("generations")):
        reason = text(generation.get("finish_reason"))
        if reason is not None:
            answer.finish_reasons[place] = reason
    usage = holder.get("usage") or holder.get("meta")
    if isinstance(usage, dict):
        answer.usage = COHERE.read(usage) or answer.usage
    if holder.get("error"):
        answer.error_type = "error"


CHAT = WireFormat(
    "cohere",
    "cohere",
    absorb,
    Fields(choices=("num_generations",)),
    text_keys=("text", "thinking", "arguments", "tool_plan"),
    news_keys=("finish_reason",),
    uncounted=('"is_finished":true', '"citation-start"'),
)

RERANK = WireFormat("rerank", "cohere", absorb, headers=read_tgi_headers)  # TEI counts in a header

EMBED = WireFormat("cohere.embed", "cohere", absorb, beside_array="meta")

# Cohere's v1 does without a model too; but so do the chat services of many an app, which are no models.
ENDPOINTS = (
    endpoint("chat", "/v1/chat", CHAT, "message", also=("model",)),
    endpoint("chat", "/v2/chat", CHAT, "messages", also=("model",)),
    endpoint("text_completion", "/v1/generate", CHAT, "prompt", also=("model",)),
    endpoint("embeddings", "/v1/embed", EMBED, "texts", "images", also=("model",), inputs="texts"),
    endpoint("embeddings", "/v2/embed", EMBED, "texts", "images", "inputs", also=("model",), inputs="texts"),
    endpoint("rerank", "/rerank", RERANK, "documents", "texts", also=("query",), inputs="documents"),
)
