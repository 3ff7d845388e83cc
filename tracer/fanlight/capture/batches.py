"""Results of batch jobs: a file of lines, each what one request was answered.

    read_line(b'{"custom_id": "a", "response": {"status_code": 200, "body": {"object": "chat.completion"}}}')

OpenAI's output and error files (https://platform.openai.com/docs/api-reference/batch/request-output), and
Anthropic's results (https://docs.anthropic.com/en/api/retrieving-message-batch-results).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fanlight.capture.answer import Answer
from fanlight.capture.endpoints import endpoint_of
from fanlight.capture.values import count, decode_object, mapping, text
from fanlight.capture.wire_format import Endpoint

# The kind of an answer's object, and where it was asked for.
_PATHS = {
    "chat.completion": "/v1/chat/completions",
    "text_completion": "/v1/completions",
    "response": "/v1/responses",
    "list": "/v1/embeddings",
    "message": "/v1/messages",
}
_NEVER_SENT = frozenset(("canceled", "expired", "batch_expired", "batch_cancelled"))


@dataclass(frozen=True, slots=True)
class BatchLine:
    """One request of a batch and its answer."""

    custom_id: str  # unique in the batch
    endpoint: Endpoint
    answer: Answer
    status: int | None  # None: the provider does not say
    created_s: int | None  # when it was answered, seconds since 1970


def read_line(line: bytes) -> BatchLine | None:
    """What one line says; None if it is no result, or of a request that no model was asked."""
    decoded = decode_object(line)
    custom_id = text(decoded.get("custom_id")) if decoded is not None else None
    if decoded is None or custom_id is None:
        return None
    if "result" in decoded:
        return _of_anthropic(custom_id, mapping(decoded["result"]))
    if text(mapping(decoded.get("error")).get("code")) in _NEVER_SENT:
        return None
    response = mapping(decoded.get("response"))
    return _line(custom_id, mapping(response.get("body")), count(response.get("status_code")))


def _of_anthropic(custom_id: str, result: Mapping[str, object]) -> BatchLine | None:
    kind = result.get("type")
    if kind in _NEVER_SENT:
        return None
    failed = {"type": "message", "error": {"type": "error"}}
    body = mapping(result.get("message")) if kind == "succeeded" else failed
    return _line(custom_id, body, 200 if kind == "succeeded" else 400)


def _line(custom_id: str, body: Mapping[str, object], status: int | None) -> BatchLine | None:
    kind = text(body.get("object")) or text(body.get("type")) or "chat.completion"
    endpoint = endpoint_of("POST", _PATHS.get(kind, _PATHS["chat.completion"]))
    if endpoint is None:
        return None
    answer = Answer()
    endpoint.format.absorb(answer, body)
    created_s = count(body.get("created")) or count(body.get("created_at"))
    return BatchLine(custom_id, endpoint, answer, status, created_s)
