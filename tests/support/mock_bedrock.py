"""Amazon Bedrock's wire format for the mock provider: Converse and InvokeModel, whole and as event streams.

Shapes follow https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and, for
InvokeModel, Anthropic's messages (https://docs.aws.amazon.com/bedrock/latest/userguide/
model-parameters-anthropic-claude-messages.html). An event stream is binary: each message has its length, its
headers and two checksums.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Callable

from mock_reply import (
    CACHE_WRITE_TOKENS,
    CACHED_TOKENS,
    OUTPUT_TOKENS,
    Event,
    Json,
    Reply,
    compact,
    count_tokens,
)

_TYPE = "application/vnd.amazon.eventstream"
_SAID = {"finish": ["end_turn"], "cached": CACHED_TOKENS, "cache_write": CACHE_WRITE_TOKENS}
_BESIDE = CACHED_TOKENS + CACHE_WRITE_TOKENS  # of the input, and not in `inputTokens`


def event_message(kind: str, payload: Json) -> bytes:
    """One event of a stream, as botocore takes it apart again."""
    headers = b"".join(
        bytes([len(name)]) + name + b"\x07" + struct.pack(">H", len(value)) + value
        for name, value in (
            (b":event-type", kind.encode()),
            (b":content-type", b"application/json"),
            (b":message-type", b"event"),
        )
    )
    body = compact(payload).encode()
    prelude = struct.pack(">II", 12 + len(headers) + len(body) + 4, len(headers))
    message = prelude + struct.pack(">I", binascii.crc32(prelude)) + headers + body
    return message + struct.pack(">I", binascii.crc32(message))


def converse(body: Json, path: str) -> Reply:
    """`/model/{model}/converse` and `/model/{model}/converse-stream`."""
    streamed = path.endswith("-stream")
    given = sum(count_tokens([{"content": message["content"]}]) for message in body["messages"])
    usage = {
        "inputTokens": given,
        "outputTokens": OUTPUT_TOKENS,
        "totalTokens": given + _BESIDE + OUTPUT_TOKENS,
        "cacheReadInputTokens": CACHED_TOKENS,
        "cacheWriteInputTokens": CACHE_WRITE_TOKENS,
    }
    metrics = {"latencyMs": 5}
    whole = {
        "output": {"message": {"role": "assistant", "content": [{"text": "word " * OUTPUT_TOKENS}]}},
        "stopReason": "end_turn",
        "usage": usage,
        "metrics": metrics,
    }
    piece = event_message("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "word "}})
    events = [
        Event(event_message("messageStart", {"role": "assistant"})),
        *(Event(piece, text=True) for _ in range(OUTPUT_TOKENS)),
        Event(event_message("contentBlockStop", {"contentBlockIndex": 0})),
        Event(event_message("messageStop", {"stopReason": "end_turn"})),
        Event(event_message("metadata", {"usage": usage, "metrics": metrics})),
    ]
    return Reply(whole, events, given + _BESIDE, OUTPUT_TOKENS, _SAID, streamed, _TYPE)


def invoke(body: Json, path: str) -> Reply:
    """`/model/{model}/invoke` and `/model/{model}/invoke-with-response-stream`, of Anthropic's models."""
    streamed = path.endswith("-stream")
    given = count_tokens(body.get("messages", []))
    counts = {"cache_read_input_tokens": CACHED_TOKENS, "cache_creation_input_tokens": CACHE_WRITE_TOKENS}
    usage = {"input_tokens": given, "output_tokens": OUTPUT_TOKENS, **counts}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude"}
    content = [{"type": "text", "text": "word " * OUTPUT_TOKENS}]
    whole = {**message, "content": content, "stop_reason": "end_turn", "usage": usage}
    begun = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    metrics = {
        "inputTokenCount": given,
        "outputTokenCount": OUTPUT_TOKENS,
        "cacheReadInputTokenCount": CACHED_TOKENS,
        "cacheWriteInputTokenCount": CACHE_WRITE_TOKENS,
        "invocationLatency": 5,
        "firstByteLatency": 2,
    }
    piece = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "word "}}
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    events = [
        _chunk({"type": "message_start", "message": begun}),
        _chunk({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        *(_chunk(piece, text=True) for _ in range(OUTPUT_TOKENS)),
        _chunk({"type": "content_block_stop", "index": 0}),
        _chunk({"type": "message_delta", "delta": ended, "usage": {"output_tokens": OUTPUT_TOKENS}}),
        _chunk({"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics}),
    ]
    said = {**_SAID, "answered_by": "claude"}
    return Reply(whole, events, given + _BESIDE, OUTPUT_TOKENS, said, streamed, _TYPE)


def _chunk(event: Json, *, text: bool = False) -> Event:
    inner = base64.b64encode(json.dumps(event, separators=(",", ":")).encode()).decode()
    return Event(event_message("chunk", {"bytes": inner, "p": "abc"}), text)


FORMATS: dict[str, Callable[[Json, str], Reply]] = {
    "/converse": converse,
    "/converse-stream": converse,
    "/invoke": invoke,
    "/invoke-with-response-stream": invoke,
}
