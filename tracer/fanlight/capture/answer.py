"""What an answer says: id, model, finish reasons, tokens of every kind, an error's type. Never its text.

OpenAI's rule for tokens: `input_tokens` include the cached ones and `output_tokens` include reasoning
(https://platform.openai.com/docs/api-reference/chat/object).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

SMALL_BODY_BYTES = 64 * 2**10  # up to here a whole body is decoded; above, first its end is tried alone


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request as its provider reported them; None is not reported, never 0."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(slots=True)
class Answer:
    """What is known of an answer so far; a stream fills it event by event."""

    id: str | None = None
    model: str | None = None
    finish_reasons: dict[int, str] = field(default_factory=dict)  # by choice
    usage: Usage | None = None
    error_type: str | None = None

    def absorb(self, body: Mapping[str, object]) -> None:
        """Take what one JSON body, or one event of a stream, says."""
        nested = body.get("response")  # an event of the responses API holds the response
        if isinstance(nested, dict):
            self._absorb_object(nested)
        else:
            self._absorb_object(body)

    def _absorb_object(self, body: Mapping[str, object]) -> None:
        if self.id is None:
            self.id = _text(body.get("id"))
        self.model = _text(body.get("model")) or self.model
        choices = body.get("choices")
        if isinstance(choices, list):
            self._absorb_choices(choices)
        elif body.get("object") == "response":
            self._absorb_status(body)
        usage = body.get("usage")
        if isinstance(usage, dict):
            self.usage = read_usage(usage)
        elif isinstance(vendor := body.get("x_groq"), dict) and isinstance(vendor.get("usage"), dict):
            self.usage = read_usage(vendor["usage"])
        error = body.get("error")
        if isinstance(error, dict):
            self.error_type = _text(error.get("type")) or _text(error.get("code")) or "error"
        elif error:
            self.error_type = "error"

    def _absorb_choices(self, choices: list[object]) -> None:
        for position, choice in enumerate(choices):
            if not isinstance(choice, dict):
                continue
            reason = choice.get("finish_reason")
            if isinstance(reason, str):
                index = choice.get("index")
                self.finish_reasons[index if isinstance(index, int) else position] = reason

    def _absorb_status(self, body: Mapping[str, object]) -> None:
        """The responses API has a status in place of a finish reason."""
        status = body.get("status")
        if status == "completed":
            self.finish_reasons[0] = "stop"
        elif status in ("incomplete", "failed", "cancelled"):
            details = body.get("incomplete_details")
            reason = _text(details.get("reason")) if isinstance(details, dict) else None
            self.finish_reasons[0] = reason or str(status)


def read_answer(body: bytes) -> Answer:
    """What a whole JSON body says; an empty answer if it is no JSON object."""
    answer = Answer()
    decoded = _decode_large(body) if len(body) > SMALL_BODY_BYTES else _decode(body)
    if decoded is not None:
        answer.absorb(decoded)
    return answer


def read_usage(usage: Mapping[str, object]) -> Usage:
    """Tokens from a `usage` object, in the spelling of chat completions or of the responses API."""
    get = usage.get
    input_tokens = _count(get("prompt_tokens", get("input_tokens")))
    output_tokens = _count(get("completion_tokens", get("output_tokens")))
    of_input = get("prompt_tokens_details") or get("input_tokens_details")
    of_output = get("completion_tokens_details") or get("output_tokens_details")
    cached = written = reasoning = None
    if isinstance(of_input, dict):
        cached = _count(of_input.get("cached_tokens"))
        written = _count(of_input.get("cache_write_tokens", of_input.get("cache_creation_tokens")))
    if "prompt_cache_hit_tokens" in usage:
        cached = _count(usage["prompt_cache_hit_tokens"])  # DeepSeek: api-docs.deepseek.com/guides/kv_cache
    if isinstance(of_output, dict):
        reasoning = _count(of_output.get("reasoning_tokens"))
    if reasoning and output_tokens is not None and input_tokens is not None:
        # xAI keeps reasoning out of completion_tokens; the total tells (docs.x.ai, "usage").
        total = _count(get("total_tokens"))
        if total == input_tokens + output_tokens + reasoning:
            output_tokens += reasoning
    return Usage(input_tokens, output_tokens, cached, written, reasoning)


def _decode(body: bytes) -> Mapping[str, object] | None:
    try:
        decoded = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return decoded if isinstance(decoded, dict) else None


def _decode_large(body: bytes) -> Mapping[str, object] | None:
    """Embeddings and images put one large array before a small `usage`: what surrounds the array is enough.

    What follows the body's last `]` is at its top level if, with an opening brace put before it, it is one
    JSON object: every bracket opened in it is then closed in it, and the body's own is the only one left.
    """
    if b'"choices"' in body or b'"output"' in body:
        return _decode(body)
    tail = _decode(b"{" + body[body.rfind(b"]") + 1 :].lstrip(b", \r\n\t"))
    if tail is None or "usage" not in tail:
        return _decode(body)
    return {**_decode_members(body[: body.find(b"[")]), **tail}


def _decode_members(head: bytes) -> Mapping[str, object]:
    """The complete members of an object whose text breaks off before a large value."""
    whole = head[: head.rfind(b",")] + b"}"
    return _decode(whole) or {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None
