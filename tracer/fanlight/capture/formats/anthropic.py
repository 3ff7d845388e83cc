"""Anthropic's messages, at Anthropic and at Vertex: https://docs.anthropic.com/en/api/messages.

    id       id, message.id          finish reason   stop_reason, delta.stop_reason
    model    model, message.model    tokens          usage, by the rule ANTHROPIC
    error    error.type

The counts of `message_delta` are of the whole message so far, never to be added to those of `message_start`,
whose `output_tokens` is a beginning and no result. Counting tokens and batches are no requests.
"""

from __future__ import annotations

from collections.abc import Mapping

from fanlight.capture.answer import Answer, Usage
from fanlight.capture.formats.openai import absorb_error
from fanlight.capture.token_rules import ANTHROPIC
from fanlight.capture.values import added, count, mapping, mappings, text
from fanlight.capture.wire_format import Fields, WireFormat, endpoint


def absorb(answer: Answer, body: Mapping[str, object]) -> bool:
    """Take what a message, or one event of its stream, says."""
    kind = body.get("type")
    if kind == "message_start":
        message = mapping(body.get("message"))
        _absorb_message(answer, message)
        if answer.usage is not None:
            answer.usage = answer.usage._replace(output_tokens=None)
    elif kind == "message_delta":
        _absorb_stop(answer, mapping(body.get("delta")))
        _absorb_usage(answer, body)
    elif kind == "error":
        absorb_error(answer, body.get("error") or "error")
    elif not (isinstance(kind, str) and kind.startswith("content_block")):
        _absorb_message(answer, body)
        absorb_error(answer, body.get("error"))
    return kind in ("message_stop", "error")


def _absorb_message(answer: Answer, message: Mapping[str, object]) -> None:
    answer.id = text(message.get("id")) or answer.id
    answer.model = text(message.get("model")) or answer.model
    _absorb_stop(answer, message)
    _absorb_usage(answer, message)


def _absorb_stop(answer: Answer, holder: Mapping[str, object]) -> None:
    reason = text(holder.get("stop_reason"))
    if reason is not None:
        answer.finish_reasons[0] = reason


def _absorb_usage(answer: Answer, holder: Mapping[str, object]) -> None:
    usage = holder.get("usage")
    if isinstance(usage, dict):
        answer.usage = read_usage(usage, answer.usage) or answer.usage


def read_usage(usage: Mapping[str, object], before: Usage | None = None) -> Usage | None:
    """Tokens from a `usage` object; what it leaves out is as it was `before`."""
    counts: dict[str, object] = {} if before is None else _counts_of(before)
    counts.update((name, value) for name, value in usage.items() if value is not None)
    # https://docs.anthropic.com/en/docs/build-with-claude/compaction, "usage": the model did it too.
    for _, part in mappings(usage.get("iterations")):
        if part.get("type") == "compaction":
            counts.update((name, added(count(counts.get(name)), count(part.get(name)))) for name in _COUNTS)
    return ANTHROPIC.read(counts)


_COUNTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")


def _counts_of(usage: Usage) -> dict[str, object]:
    read, written = usage.cache_read_tokens, usage.cache_write_tokens
    fresh = None if usage.input_tokens is None else usage.input_tokens - (read or 0) - (written or 0)
    counts: dict[str, object] = dict(zip(_COUNTS, (fresh, read, written, usage.output_tokens), strict=True))
    counts["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return counts


MESSAGES = WireFormat(
    "anthropic.messages",
    "anthropic",
    absorb,
    Fields(max_tokens=("max_tokens", "max_tokens_to_sample")),
    text_keys=("text", "partial_json", "thinking", "completion"),
    news_keys=("stop_reason",),
)

_LIMIT = ("max_tokens",)  # what a request to count tokens lacks
ENDPOINTS = (
    endpoint("chat", "/v1/messages", MESSAGES, "messages", also=_LIMIT),
    endpoint("text_completion", "/v1/complete", MESSAGES, "prompt", also=("max_tokens_to_sample",)),
    endpoint("chat", "/publishers/anthropic/models/{model}:rawPredict", MESSAGES, "messages", also=_LIMIT),
    endpoint(
        "chat", "/publishers/anthropic/models/{model}:streamRawPredict", MESSAGES, "messages", also=_LIMIT
    ),
)
