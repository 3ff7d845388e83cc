"""Anthropic's messages, at Anthropic and at Vertex: https://docs.anthropic.com/en/api/messages.

    id       id, message.id            finish reason   stop_reason, delta.stop_reason
    input    input_tokens + cache_read_input_tokens + cache_creation_input_tokens: the first is what is left
    output   output_tokens             cache reads     cache_read_input_tokens
    error    error.type                cache writes    cache_creation_input_tokens
                                       reasoning       output_tokens_details.thinking_tokens

The counts of `message_delta` are of the whole message so far, never to be added to those of `message_start`,
whose `output_tokens` is a beginning and no result. Counting tokens and batches are no requests.
"""

from __future__ import annotations

from collections.abc import Mapping

from fanlight.capture.answer import Answer, Usage
from fanlight.capture.formats.openai import absorb_error
from fanlight.capture.values import added, count, mapping, mappings, text
from fanlight.capture.wire_format import Fields, WireFormat, endpoint


def absorb(answer: Answer, body: Mapping[str, object]) -> bool:
    """Take what a message, or one event of its stream, says."""
    kind = body.get("type")
    if kind == "message_start":
        message = mapping(body.get("message"))
        _absorb_message(answer, message)
        if answer.usage is not None:
            answer.usage = _without_output(answer.usage)
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
        found = read_usage(usage, answer.usage or Usage())
        if found != Usage():
            answer.usage = found


def read_usage(usage: Mapping[str, object], before: Usage) -> Usage:
    """Tokens from a `usage` object; what it leaves out is as it was `before`."""
    read = _cumulative(usage, "cache_read_input_tokens", before.cache_read_tokens)
    written = _cumulative(usage, "cache_creation_input_tokens", before.cache_write_tokens)
    fresh = _summed(usage, "input_tokens")
    if fresh is None and before.input_tokens is not None:
        fresh = before.input_tokens - (before.cache_read_tokens or 0) - (before.cache_write_tokens or 0)
    thinking = count(mapping(usage.get("output_tokens_details")).get("thinking_tokens"))
    return Usage(
        None if fresh is None else added(fresh, read, written),
        _cumulative(usage, "output_tokens", before.output_tokens),
        read,
        written,
        before.reasoning_tokens if thinking is None else thinking,
    )


def _cumulative(usage: Mapping[str, object], name: str, before: int | None) -> int | None:
    found = _summed(usage, name)
    return before if found is None else found


def _summed(usage: Mapping[str, object], name: str) -> int | None:
    """A count, with that of a compaction before the message, which the model did too
    (https://docs.anthropic.com/en/docs/build-with-claude/compaction, "usage"). An adviser is another model.
    """
    compactions = [part for _, part in mappings(usage.get("iterations")) if part.get("type") == "compaction"]
    return added(count(usage.get(name)), *(count(part.get(name)) for part in compactions))


def _without_output(usage: Usage) -> Usage:
    return Usage(
        usage.input_tokens, None, usage.cache_read_tokens, usage.cache_write_tokens, usage.reasoning_tokens
    )


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
