"""Small answers by hand: Anthropic's messages."""

from fanlight.capture.answer import Usage
from wire_shapes import SSE, TEXTS, Example, answer, dump, named_sse

ANTHROPIC_EVENTS = (
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "model": "claude",
            "content": [],
            "stop_reason": None,
            "usage": {
                "input_tokens": 3,
                "cache_read_input_tokens": 90,
                "cache_creation_input_tokens": 7,
                "output_tokens": 1,
            },
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": t}} for t in TEXTS),
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 12}},
    {"type": "message_stop"},
)


ANTHROPIC_ANSWER = answer("claude", "msg_1", Usage(100, 12, 90, 7), "end_turn")


VERTEX = "/v1/projects/p/locations/l/publishers"

EXAMPLES = [
    Example(
        "anthropic",
        "/v1/messages",
        dump(
            {
                "id": "msg_1",
                "type": "message",
                "model": "claude",
                "content": [{"type": "text", "text": "a"}],
                "stop_reason": "tool_use",
                "usage": {
                    "input_tokens": 3,
                    "cache_read_input_tokens": 90,
                    "cache_creation_input_tokens": 7,
                    "output_tokens": 12,
                    "output_tokens_details": {"thinking_tokens": 5},
                },
            }
        ),
        answer("claude", "msg_1", Usage(100, 12, 90, 7, 5), "tool_use"),
    ),
    Example(
        "anthropic, after a compaction",
        "/v1/messages",
        dump(
            {
                "id": "msg_1",
                "type": "message",
                "model": "claude",
                "stop_reason": "end_turn",
                "usage": {
                    "input_tokens": 3,
                    "output_tokens": 12,
                    "iterations": [
                        {"type": "compaction", "input_tokens": 1000, "output_tokens": 40},
                        {"type": "message", "input_tokens": 3, "output_tokens": 12},
                    ],
                },
            }
        ),
        answer("claude", "msg_1", Usage(1003, 52), "end_turn"),
    ),
    Example(
        "anthropic, stream",
        "/v1/messages",
        named_sse(*ANTHROPIC_EVENTS),
        ANTHROPIC_ANSWER,
        SSE,
        {},
        TEXTS,
        True,
    ),
    Example(
        "anthropic at vertex, stream",
        f"{VERTEX}/anthropic/models/claude@2025:streamRawPredict",
        named_sse(*ANTHROPIC_EVENTS),
        ANTHROPIC_ANSWER,
        SSE,
        texts=TEXTS,
        ends=True,
    ),
    Example(
        "anthropic, overloaded within the stream",
        "/v1/messages",
        named_sse(
            *ANTHROPIC_EVENTS[:4],
            {"type": "error", "error": {"type": "overloaded_error", "message": "x"}},
        ),
        answer("claude", "msg_1", Usage(100, None, 90, 7), error="overloaded_error"),
        SSE,
        texts=TEXTS[:1],
        ends=True,
    ),
    Example(
        "anthropic, text completion",
        "/v1/complete",
        dump(
            {
                "type": "completion",
                "id": "compl_1",
                "completion": " a",
                "stop_reason": "max_tokens",
                "model": "c",
            }
        ),
        answer("c", "compl_1", None, "max_tokens"),
    ),
]
