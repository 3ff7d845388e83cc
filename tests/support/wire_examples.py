"""A small answer of every wire format, written by hand after its documentation, and what it says."""

import base64
import json
import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

from fanlight.capture.answer import Answer, ServerTimings, Usage

SSE = "text/event-stream"
JSON = "application/json"
LINES = "application/x-ndjson"
AWS = "application/vnd.amazon.eventstream"


@dataclass(frozen=True)
class Example:
    """An answer to a request to `path`. `texts` is the generated text by event of a stream."""

    name: str
    path: str
    body: bytes = field(repr=False)
    answer: Answer
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    texts: tuple[str, ...] = ()
    ends: bool = False  # by a mark of its own


def dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def sse(*events: Any, end: bytes = b"") -> bytes:
    return b"".join(b"data: " + dump(event) + b"\n\n" for event in events) + end


def named_sse(*events: dict[str, Any]) -> bytes:
    """As Anthropic and Cohere write them, with the type in a line of its own."""
    return b"".join(
        b"event: " + event["type"].encode() + b"\ndata: " + dump(event) + b"\n\n" for event in events
    )


def lines(*events: Any) -> bytes:
    return b"".join(dump(event) + b"\n" for event in events)


def aws_message(payload: bytes, **headers: str) -> bytes:
    """One message of Amazon's event stream, with its two checksums."""
    head = b""
    for name, value in headers.items():
        key = b":" + name.replace("_", "-").encode()
        head += bytes([len(key)]) + key + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    prelude = struct.pack(">II", len(head) + len(payload) + 16, len(head))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + payload
    return message + struct.pack(">I", zlib.crc32(message))


def aws_event(kind: str, event: Any) -> bytes:
    return aws_message(dump(event), event_type=kind, content_type=JSON, message_type="event")


def aws_chunk(event: Any) -> bytes:
    return aws_event("chunk", {"bytes": base64.b64encode(dump(event)).decode(), "p": "abc"})


def answer(
    model: str | None = None,
    identity: str | None = None,
    usage: Usage | None = None,
    *reasons: str,
    error: str | None = None,
    timings: ServerTimings | None = None,
) -> Answer:
    return Answer(identity, model, dict(enumerate(reasons)), usage, error, timings)


GEMINI = "/v1beta/models/gemini-2.5-flash"
VERTEX = "/v1/projects/p/locations/l/publishers"
TEXTS = ("Hel", 'lo "you"\n', "é!")


def _openai_chunk(text: str | None, reason: str | None = None, **more: Any) -> dict[str, Any]:
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "c1", "model": "m", "choices": [choice], **more}


def _gemini_part(text: str, output: int, reason: str | None = None) -> dict[str, Any]:
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    return {
        "candidates": [candidate | ({"finishReason": reason} if reason else {})],
        "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": output, "thoughtsTokenCount": 4},
        "modelVersion": "gemini-2.5-flash",
        "responseId": "g1",
    }


GEMINI_PARTS = [_gemini_part(TEXTS[0], 2), _gemini_part(TEXTS[1], 5), _gemini_part(TEXTS[2], 7, "STOP")]
GEMINI_ANSWER = answer("gemini-2.5-flash", "g1", Usage(9, 11, reasoning_tokens=4), "STOP")

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

OLLAMA_END = {
    "model": "llama",
    "message": {"role": "assistant", "content": ""},
    "done": True,
    "done_reason": "stop",
    "total_duration": 2_000_000_000,
    "load_duration": 500_000_000,
    "prompt_eval_count": 8,
    "prompt_eval_duration": 250_000_000,
    "eval_count": 3,
    "eval_duration": 1_000_000_000,
}
OLLAMA_ANSWER = answer(
    "llama",
    None,
    Usage(8, 3),
    "stop",
    timings=ServerTimings(load_s=0.5, prefill_s=0.25, decode_s=1.0, total_s=2.0),
)
LATENCY = ServerTimings(total_s=0.25)
METRICS = {"inputTokenCount": 5, "outputTokenCount": 10, "invocationLatency": 250, "firstByteLatency": 125}
METERED = ServerTimings(total_s=0.25, first_token_s=0.125)

EXAMPLES = [
    Example(
        "openai chat",
        "/v1/chat/completions",
        dump(
            {
                "id": "c1",
                "model": "m-2025",
                "choices": [
                    {"index": 0, "message": {"content": "a"}, "finish_reason": "stop"},
                    {"index": 1, "message": {"content": "b"}, "finish_reason": "length"},
                ],
                "usage": {
                    "prompt_tokens": 20,
                    "completion_tokens": 9,
                    "prompt_tokens_details": {"cached_tokens": 16},
                    "completion_tokens_details": {"reasoning_tokens": 5},
                },
            }
        ),
        answer("m-2025", "c1", Usage(20, 9, 16, None, 5), "stop", "length"),
    ),
    Example(
        "openai chat, stream",
        "/openai/deployments/d/chat/completions",
        sse(
            *(_openai_chunk(text) for text in ("", *TEXTS)),
            _openai_chunk(None, "stop"),
            {"id": "c1", "model": "m", "choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 3}},
            end=b"data: [DONE]\n\n",
        ),
        answer("m", "c1", Usage(4, 3), "stop"),
        SSE,
        texts=TEXTS,
        ends=True,
    ),
    Example(
        "perplexity, stream with the usage before the text in every event",
        "/chat/completions",
        sse(
            *(
                {"id": "c1", "model": "sonar", "usage": {"prompt_tokens": 4, "completion_tokens": n}}
                | {"choices": [{"index": 0, "delta": {"content": text}}]}
                for n, text in enumerate(TEXTS, 1)
            ),
        ),
        answer("sonar", "c1", Usage(4, 3)),
        SSE,
        texts=TEXTS,
    ),
    Example(
        "groq, stream",
        "/openai/v1/chat/completions",
        sse(
            *(_openai_chunk(text) for text in TEXTS),
            _openai_chunk(
                None,
                "stop",
                x_groq={
                    "usage": {
                        "prompt_tokens": 4,
                        "completion_tokens": 3,
                        "queue_time": 0.5,
                        "prompt_time": 0.25,
                        "completion_time": 1.0,
                        "total_time": 1.25,
                    }
                },
            ),
        ),
        answer(
            "m",
            "c1",
            Usage(4, 3),
            "stop",
            timings=ServerTimings(queue_s=0.5, prefill_s=0.25, decode_s=1.0, inference_s=1.25),
        ),
        SSE,
        texts=TEXTS,
    ),
    Example(
        "cerebras",
        "/v1/chat/completions",
        dump(
            {
                "id": "c1",
                "model": "m",
                "choices": [{"index": 0, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 4, "completion_tokens": 3},
                "time_info": {
                    "queue_time": 0.5,
                    "prompt_time": 0.25,
                    "completion_time": 1.0,
                    "total_time": 2.0,
                    "created": 1.7e9,
                },
            }
        ),
        answer(
            "m",
            "c1",
            Usage(4, 3),
            "stop",
            timings=ServerTimings(queue_s=0.5, prefill_s=0.25, decode_s=1.0, total_s=2.0),
        ),
    ),
    Example(
        "vllm with per-request metrics",
        "/v1/completions",
        dump(
            {
                "id": "cmpl-1",
                "model": "m",
                "choices": [{"index": 0, "text": "a", "finish_reason": "length", "stop_reason": None}],
                "usage": {"prompt_tokens": 4, "completion_tokens": 3, "prompt_tokens_details": None},
                "metrics": {
                    "time_to_first_token_ms": 250.0,
                    "generation_time_ms": 1000,
                    "queue_time_ms": 500.0,
                    "mean_itl_ms": 9.1,
                },
            }
        ),
        answer(
            "m",
            "cmpl-1",
            Usage(4, 3),
            "length",
            timings=ServerTimings(queue_s=0.5, prefill_s=0.25, decode_s=1.0),
        ),
    ),
    Example(
        "llama.cpp, chat",
        "/v1/chat/completions",
        dump(
            {
                "id": "c1",
                "model": "m",
                "choices": [{"index": 0, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 4, "completion_tokens": 3},
                "timings": {"prompt_n": 4, "prompt_ms": 250.0, "predicted_n": 3, "predicted_ms": 1000.0},
            }
        ),
        answer("m", "c1", Usage(4, 3), "stop", timings=ServerTimings(prefill_s=0.25, decode_s=1.0)),
    ),
    Example(
        "deepseek",
        "/chat/completions",
        dump(
            {
                "id": "c1",
                "model": "deepseek-chat",
                "choices": [{"index": 0, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 20, "completion_tokens": 3, "prompt_cache_hit_tokens": 16},
            }
        ),
        answer("deepseek-chat", "c1", Usage(20, 3, 16), "stop"),
    ),
    Example(
        "xai",
        "/v1/chat/completions",
        dump(
            {
                "id": "c1",
                "model": "grok",
                "choices": [{"index": 0, "finish_reason": "stop"}],
                "usage": {
                    "prompt_tokens": 20,
                    "completion_tokens": 3,
                    "total_tokens": 123,
                    "completion_tokens_details": {"reasoning_tokens": 100},
                },
            }
        ),
        answer("grok", "c1", Usage(20, 103, reasoning_tokens=100), "stop"),
    ),
    Example(
        "openrouter, an error within the stream",
        "/api/v1/chat/completions",
        sse(
            _openai_chunk(TEXTS[0]),
            {**_openai_chunk("", "error"), "error": {"code": 502, "message": "provider"}},
        ),
        answer("m", "c1", None, "error", error="502"),
        SSE,
        texts=TEXTS[:1],
    ),
    Example(
        "openai responses, stream",
        "/v1/responses",
        named_sse(
            {
                "type": "response.created",
                "response": {"id": "r1", "object": "response", "model": "m", "status": "in_progress"},
            },
            *({"type": "response.output_text.delta", "delta": text} for text in TEXTS),
            {"type": "response.output_text.done", "text": "".join(TEXTS)},
            {
                "type": "response.completed",
                "response": {
                    "id": "r1",
                    "object": "response",
                    "model": "m-2025",
                    "status": "completed",
                    "usage": {
                        "input_tokens": 20,
                        "input_tokens_details": {"cached_tokens": 16, "cache_write_tokens": 2},
                        "output_tokens": 9,
                        "output_tokens_details": {"reasoning_tokens": 5},
                    },
                },
            },
        ),
        answer("m-2025", "r1", Usage(20, 9, 16, 2, 5), "stop"),
        SSE,
        texts=TEXTS,
        ends=True,
    ),
    Example(
        "openai run of an assistant",
        "/v1/threads/t1/runs",
        dump({"id": "run_1", "object": "thread.run", "model": "m", "status": "queued", "usage": None}),
        answer("m", "run_1"),
    ),
    Example(
        "openai embeddings",
        "/v1/embeddings",
        dump(
            {"data": [{"embedding": [0.5]}], "model": "e", "usage": {"prompt_tokens": 7, "total_tokens": 7}}
        ),
        answer("e", None, Usage(7)),
    ),
    Example(
        "openai, refused",
        "/v1/chat/completions",
        dump({"error": {"message": "x", "type": "invalid_request_error", "code": "model_not_found"}}),
        answer(error="invalid_request_error"),
    ),
    Example(
        "openai transcript, stream",
        "/v1/audio/transcriptions",
        named_sse(
            *({"type": "transcript.text.delta", "delta": text} for text in TEXTS),
            {
                "type": "transcript.text.done",
                "text": "".join(TEXTS),
                "usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 45, "total_tokens": 59},
            },
        ),
        answer(None, None, Usage(14, 45)),
        SSE,
        texts=TEXTS,
    ),
    Example(
        "voyage, embeddings with a total only",
        "/v1/embeddings",
        dump({"object": "list", "data": [], "model": "voyage-3", "usage": {"total_tokens": 10}}),
        answer("voyage-3", None, Usage(10)),
    ),
    Example(
        "mistral, refused",
        "/v1/chat/completions",
        dump({"object": "error", "message": "x", "type": "invalid_request_message", "code": "1500"}),
        answer(error="invalid_request_message"),
    ),
    Example(
        "gemini in openai's format, refused",
        "/v1beta/openai/chat/completions",
        dump([{"error": {"code": 400, "message": "x", "status": "INVALID_ARGUMENT"}}]),
        answer(error="INVALID_ARGUMENT"),
    ),
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
    Example(
        "gemini",
        f"{GEMINI}:generateContent",
        dump(
            {
                "candidates": [
                    {"content": {"parts": [{"text": "a"}]}, "finishReason": "MAX_TOKENS", "index": 0}
                ],
                "usageMetadata": {
                    "promptTokenCount": 100,
                    "cachedContentTokenCount": 90,
                    "toolUsePromptTokenCount": 10,
                    "candidatesTokenCount": 7,
                    "thoughtsTokenCount": 4,
                    "totalTokenCount": 121,
                },
                "modelVersion": "gemini-2.5-flash-001",
                "responseId": "g1",
            }
        ),
        answer("gemini-2.5-flash-001", "g1", Usage(110, 11, 90, None, 4), "MAX_TOKENS"),
    ),
    Example(
        "gemini, events", f"{GEMINI}:streamGenerateContent", sse(*GEMINI_PARTS), GEMINI_ANSWER, SSE, {}, TEXTS
    ),
    Example(
        "gemini, array",
        f"{GEMINI}:streamGenerateContent",
        json.dumps(GEMINI_PARTS, indent=2).encode(),
        GEMINI_ANSWER,
        JSON,
        {},
        TEXTS,
    ),
    Example(
        "gemini, blocked",
        f"{GEMINI}:generateContent",
        dump(
            {
                "promptFeedback": {"blockReason": "SAFETY"},
                "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9},
                "modelVersion": "gemini-2.5-flash",
            }
        ),
        answer("gemini-2.5-flash", None, Usage(9, 0), "SAFETY"),
    ),
    Example(
        "gemini, refused",
        f"{GEMINI}:generateContent",
        dump({"error": {"code": 429, "message": "x", "status": "RESOURCE_EXHAUSTED"}}),
        answer(error="RESOURCE_EXHAUSTED"),
    ),
    Example(
        "gemini code assist, stream",
        "/v1internal:streamGenerateContent",
        sse(*({"response": part, "traceId": "t"} for part in GEMINI_PARTS)),
        GEMINI_ANSWER,
        SSE,
        texts=TEXTS,
    ),
    Example(
        "vertex, embeddings",
        f"{VERTEX}/google/models/text-embedding-005:predict",
        dump(
            {
                "predictions": [
                    {"embeddings": {"statistics": {"token_count": n, "truncated": False}, "values": [0.5]}}
                    for n in (4, 3)
                ]
            }
        ),
        answer(None, None, Usage(7)),
    ),
    Example(
        "gemini interactions, stream",
        "/v1beta/interactions",
        sse(
            {
                "event_type": "interaction.created",
                "interaction": {"id": "i1", "status": "in_progress", "model": "gemini"},
            },
            *({"event_type": "step.delta", "delta": {"text": text, "type": "text"}} for text in TEXTS),
            {
                "event_type": "interaction.completed",
                "interaction": {
                    "id": "i1",
                    "status": "completed",
                    "model": "gemini",
                    "usage": {
                        "total_input_tokens": 9,
                        "total_cached_tokens": 2,
                        "total_output_tokens": 7,
                        "total_tool_use_tokens": 1,
                        "total_thought_tokens": 4,
                    },
                },
            },
            end=b"event: done\ndata: [DONE]\n\n",
        ),
        answer("gemini", "i1", Usage(10, 11, 2, None, 4), "stop"),
        SSE,
        texts=TEXTS,
        ends=True,
    ),
    Example("ollama", "/api/chat", dump(OLLAMA_END), OLLAMA_ANSWER),
    Example(
        "ollama, stream",
        "/api/chat",
        lines(
            *(
                {"model": "llama", "message": {"role": "assistant", "content": text}, "done": False}
                for text in TEXTS
            ),
            OLLAMA_END,
        ),
        OLLAMA_ANSWER,
        LINES,
        texts=TEXTS,
        ends=True,
    ),
    Example(
        "ollama, stream of a generation whose prompt was known",
        "/api/generate",
        lines(
            *({"model": "llama", "response": text, "done": False} for text in TEXTS),
            {"model": "llama", "response": "", "done": True, "done_reason": "length", "eval_count": 3},
        ),
        answer("llama", None, Usage(None, 3), "length"),
        LINES,
        texts=TEXTS,
        ends=True,
    ),
    Example(
        "ollama, embed",
        "/api/embed",
        dump({"model": "e", "embeddings": [[0.5]], "total_duration": 250_000_000, "prompt_eval_count": 7}),
        answer("e", None, Usage(7), timings=LATENCY),
    ),
    Example("ollama, refused", "/api/chat", dump({"error": "model 'x' not found"}), answer(error="error")),
    Example(
        "cohere v2",
        "/v2/chat",
        dump(
            {
                "id": "co1",
                "message": {"role": "assistant", "content": [{"type": "text", "text": "a"}]},
                "finish_reason": "COMPLETE",
                "usage": {
                    "billed_units": {"input_tokens": 2, "output_tokens": 5},
                    "tokens": {"input_tokens": 212, "output_tokens": 6},
                    "cached_tokens": 208,
                },
            }
        ),
        answer(None, "co1", Usage(212, 6, 208), "COMPLETE"),
    ),
    Example(
        "cohere v2, stream",
        "/v2/chat",
        named_sse(
            {
                "type": "message-start",
                "id": "co1",
                "delta": {"message": {"role": "assistant", "content": []}},
            },
            *(
                {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}}
                for text in TEXTS
            ),
            {"type": "citation-start", "index": 0, "delta": {"message": {"citations": {"text": "Hel"}}}},
            {
                "type": "message-end",
                "delta": {
                    "finish_reason": "MAX_TOKENS",
                    "usage": {"tokens": {"input_tokens": 69, "output_tokens": 3}},
                },
            },
        ),
        answer(None, "co1", Usage(69, 3), "MAX_TOKENS"),
        SSE,
        texts=TEXTS,
        ends=True,
    ),
    Example(
        "cohere v1, stream",
        "/v1/chat",
        lines(
            {"is_finished": False, "event_type": "stream-start", "generation_id": "gen1"},
            *({"is_finished": False, "event_type": "text-generation", "text": text} for text in TEXTS),
            {
                "is_finished": True,
                "event_type": "stream-end",
                "finish_reason": "COMPLETE",
                "response": {
                    "response_id": "co1",
                    "text": "".join(TEXTS),
                    "meta": {"tokens": {"input_tokens": 69, "output_tokens": 3}},
                },
            },
        ),
        answer(None, "co1", Usage(69, 3), "COMPLETE"),
        "application/stream+json",
        texts=TEXTS,
        ends=True,
    ),
    Example(
        "cohere, embed",
        "/v2/embed",
        dump({"id": "co1", "embeddings": {"float": [[0.5]]}, "meta": {"billed_units": {"input_tokens": 7}}}),
        answer(None, "co1", Usage(7)),
    ),
    Example(
        "cohere, rerank",
        "/v2/rerank",
        dump({"id": "co1", "results": [{"index": 0}], "meta": {"billed_units": {"search_units": 1}}}),
        answer(None, "co1"),
    ),
    Example(
        "vllm, rerank",
        "/v1/rerank",
        dump({"id": "rr1", "model": "bge", "usage": {"total_tokens": 56}, "results": []}),
        answer("bge", "rr1", Usage(56)),
    ),
    Example(
        "cohere, refused",
        "/v2/chat",
        dump({"id": "co1", "message": "model 'x' was removed"}),
        answer(None, "co1", error="error"),
    ),
    Example(
        "mistral, stream with thoughts",
        "/v1/chat/completions",
        sse(
            {
                "id": "c1",
                "model": "magistral",
                "choices": [
                    {
                        "index": 0,
                        "delta": {
                            "content": [
                                {"type": "thinking", "thinking": [{"type": "text", "text": TEXTS[0]}]}
                            ]
                        },
                        "finish_reason": None,
                    }
                ],
            },
            {
                "id": "c1",
                "model": "magistral",
                "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 20, "completion_tokens": 3, "num_cached_tokens": 16},
            },
        ),
        answer("magistral", "c1", Usage(20, 3, 16), "stop"),
        SSE,
        texts=TEXTS[:1],
    ),
    Example(
        "mistral conversation, stream",
        "/v1/conversations",
        named_sse(
            {"type": "conversation.response.started", "conversation_id": "conv_1"},
            *({"type": "message.output.delta", "model": "mistral", "content": text} for text in TEXTS),
            {
                "type": "conversation.response.done",
                "usage": {
                    "prompt_tokens": 9,
                    "completion_tokens": 3,
                    "connector_tokens": 50,
                    "total_tokens": 62,
                },
            },
        ),
        answer(None, "conv_1", Usage(59, 3)),
        SSE,
        texts=TEXTS,
        ends=True,
    ),
    Example(
        "mistral, fill in the middle",
        "/v1/fim/completions",
        dump(
            {
                "id": "c1",
                "model": "codestral",
                "choices": [{"index": 0, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 4, "completion_tokens": 3},
            }
        ),
        answer("codestral", "c1", Usage(4, 3), "stop"),
    ),
    Example(
        "mistral, ocr",
        "/v1/ocr",
        dump({"pages": [{"index": 0}], "model": "mistral-ocr", "usage_info": {"pages_processed": 1}}),
        answer("mistral-ocr"),
    ),
    Example(
        "bedrock converse",
        "/model/amazon.nova-lite-v1%3A0/converse",
        dump(
            {
                "metrics": {"latencyMs": 250},
                "output": {"message": {"role": "assistant", "content": [{"text": "a"}]}},
                "stopReason": "end_turn",
                "usage": {
                    "inputTokens": 3,
                    "outputTokens": 12,
                    "totalTokens": 112,
                    "cacheReadInputTokens": 90,
                    "cacheWriteInputTokens": 7,
                },
            }
        ),
        answer(None, None, Usage(100, 12, 90, 7), "end_turn", timings=LATENCY),
    ),
    Example(
        "bedrock converse, stream",
        "/model/amazon.nova-lite-v1%3A0/converse-stream",
        b"".join(
            (
                aws_event("messageStart", {"role": "assistant", "p": "ab"}),
                *(
                    aws_event(
                        "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}, "p": "a"}
                    )
                    for text in TEXTS
                ),
                aws_event("messageStop", {"stopReason": "max_tokens"}),
                aws_event(
                    "metadata",
                    {"metrics": {"latencyMs": 250}, "usage": {"inputTokens": 8, "outputTokens": 10}},
                ),
            )
        ),
        answer(None, None, Usage(8, 10), "max_tokens", timings=LATENCY),
        AWS,
        texts=TEXTS,
        ends=True,
    ),
    Example(
        "bedrock, an exception within the stream",
        "/model/m/converse-stream",
        aws_event("messageStart", {"role": "assistant"})
        + aws_message(
            dump({"message": "slow down"}),
            exception_type="throttlingException",
            content_type=JSON,
            message_type="exception",
        ),
        answer(error="throttlingException"),
        AWS,
    ),
    Example(
        "bedrock invoke of claude, stream",
        "/model/anthropic.claude-v2/invoke-with-response-stream",
        b"".join(
            (
                *(aws_chunk(event) for event in ANTHROPIC_EVENTS[:-1]),
                aws_chunk({"type": "message_stop", "amazon-bedrock-invocationMetrics": METRICS}),
            )
        ),
        answer("claude", "msg_1", Usage(100, 12, 90, 7), "end_turn", timings=METERED),
        AWS,
        texts=TEXTS,
        ends=True,
    ),
    Example(
        "bedrock invoke of llama, stream",
        "/model/meta.llama3/invoke-with-response-stream",
        b"".join(
            (
                aws_chunk({"generation": TEXTS[0], "prompt_token_count": 5, "generation_token_count": 1}),
                aws_chunk({"generation": TEXTS[1], "prompt_token_count": None, "generation_token_count": 2}),
                aws_chunk(
                    {
                        "generation": TEXTS[2],
                        "generation_token_count": 10,
                        "stop_reason": "length",
                        "amazon-bedrock-invocationMetrics": METRICS,
                    }
                ),
            )
        ),
        answer(None, None, Usage(5, 10), "length", timings=METERED),
        AWS,
        texts=TEXTS,
        ends=True,
    ),
    Example(
        "bedrock invoke of titan",
        "/model/amazon.titan-text-lite-v1/invoke",
        dump(
            {
                "inputTextTokenCount": 5,
                "results": [{"tokenCount": 10, "outputText": "a", "completionReason": "FINISH"}],
            }
        ),
        answer(None, None, Usage(5, 10), "FINISH", timings=LATENCY),
        headers={"x-amzn-bedrock-invocation-latency": "250"},
    ),
    Example(
        "bedrock invoke of mistral, counts in the headers",
        "/model/mistral.mistral-7b/invoke",
        dump({"outputs": [{"text": "a", "stop_reason": "length"}]}),
        answer(None, None, Usage(6, 10, 0, 0), "length"),
        headers={
            "x-amzn-bedrock-input-token-count": "6",
            "x-amzn-bedrock-output-token-count": "10",
            "x-amzn-bedrock-cache-read-input-token-count": "0",
            "x-amzn-bedrock-cache-write-input-token-count": "0",
        },
    ),
    Example(
        "bedrock invoke of cohere",
        "/model/cohere.command-light/invoke",
        dump({"id": "co1", "generations": [{"id": "g", "text": "a", "finish_reason": "MAX_TOKENS"}]}),
        answer(None, "co1", Usage(5, 10), "MAX_TOKENS"),
        headers={"x-amzn-bedrock-input-token-count": "5", "x-amzn-bedrock-output-token-count": "10"},
    ),
    Example(
        "bedrock invoke of nova",
        "/model/amazon.nova-micro/invoke",
        dump({"output": {}, "stopReason": "max_tokens", "usage": {"inputTokens": 5, "outputTokens": 10}}),
        answer(None, None, Usage(5, 10), "max_tokens"),
    ),
    Example(
        "bedrock invoke of deepseek",
        "/model/deepseek.r1/invoke",
        dump({"choices": [{"index": 0, "text": "a", "stop_reason": "length"}]}),
        answer(None, None, None, "length"),
    ),
    Example(
        "bedrock, titan embeddings",
        "/model/amazon.titan-embed-text-v2%3A0/invoke",
        dump({"embedding": [0.5], "inputTextTokenCount": 7}),
        answer(None, None, Usage(7)),
    ),
    Example(
        "bedrock, refused",
        "/model/m/converse",
        dump({"message": "The provided model identifier is invalid."}),
        answer(error="ValidationException"),
        headers={"x-amzn-errortype": "ValidationException:http://internal.amazon.com/"},
    ),
    Example(
        "tgi",
        "/generate",
        dump({"generated_text": "a", "details": {"finish_reason": "length", "generated_tokens": 3}}),
        answer(
            None,
            None,
            Usage(4, 3),
            "length",
            timings=ServerTimings(queue_s=0.5, inference_s=1.25, total_s=2.0),
        ),
        headers={
            "x-prompt-tokens": "4",
            "x-generated-tokens": "3",
            "x-queue-time": "500",
            "x-inference-time": "1250",
            "x-total-time": "2000",
        },
    ),
    Example(
        "tgi, stream",
        "/generate_stream",
        sse(
            *(
                {"index": n, "token": {"id": n, "text": text}, "generated_text": None, "details": None}
                for n, text in enumerate(TEXTS[:2])
            ),
            {
                "index": 3,
                "token": {"id": 3, "text": TEXTS[2]},
                "generated_text": "".join(TEXTS),
                "details": {"finish_reason": "eos_token", "generated_tokens": 3, "input_length": 4},
            },
        ),
        answer(None, None, Usage(4, 3), "eos_token"),
        SSE,
        texts=TEXTS,
    ),
    Example(
        "hugging face, a list",
        "/models/org/name",
        dump([{"generated_text": "a", "details": {"finish_reason": "length", "generated_tokens": 3}}]),
        answer(None, None, Usage(None, 3), "length"),
    ),
    Example(
        "sglang",
        "/generate",
        dump(
            {
                "text": "a",
                "meta_info": {
                    "id": "s1",
                    "finish_reason": {"type": "length", "length": 3},
                    "prompt_tokens": 20,
                    "completion_tokens": 3,
                    "cached_tokens": 16,
                    "e2e_latency": 0.25,
                },
            }
        ),
        answer(None, "s1", Usage(20, 3, 16), "length", timings=LATENCY),
    ),
    Example(
        "llama.cpp, stream",
        "/completion",
        sse(
            *({"index": 0, "content": text, "tokens": [1], "stop": False} for text in TEXTS),
            {
                "index": 0,
                "content": "",
                "stop": True,
                "model": "m",
                "stop_type": "eos",
                "tokens_predicted": 3,
                "tokens_evaluated": 20,
                "timings": {"cache_n": 16, "prompt_ms": 250.0, "predicted_ms": 1000.0},
            },
        ),
        answer("m", None, Usage(20, 3, 16), "eos", timings=ServerTimings(prefill_s=0.25, decode_s=1.0)),
        SSE,
        texts=TEXTS,
        ends=True,
    ),
    Example(
        "watsonx, stream",
        "/ml/v1/text/generation_stream",
        sse(
            *(
                {
                    "model_id": "granite",
                    "results": [
                        {
                            "generated_text": text,
                            "generated_token_count": n,
                            "input_token_count": 5 if n == 1 else 0,
                            "stop_reason": "not_finished" if n < 3 else "eos_token",
                        }
                    ],
                }
                for n, text in enumerate(TEXTS, 1)
            ),
        ),
        answer("granite", None, Usage(5, 3), "eos_token"),
        SSE,
        texts=TEXTS,
    ),
    Example(
        "watsonx, chat",
        "/ml/v1/text/chat",
        dump(
            {
                "id": "c1",
                "model_id": "granite",
                "choices": [{"index": 0, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 4, "completion_tokens": 3},
            }
        ),
        answer("granite", "c1", Usage(4, 3), "stop"),
    ),
    Example(
        "replicate",
        "/v1/models/meta/llama/predictions",
        dump(
            {
                "id": "p1",
                "model": "meta/llama",
                "status": "succeeded",
                "error": None,
                "metrics": {
                    "predict_time": 1.25,
                    "total_time": 2.0,
                    "input_token_count": 4,
                    "output_token_count": 3,
                },
            }
        ),
        answer(
            "meta/llama",
            "p1",
            Usage(4, 3),
            "succeeded",
            timings=ServerTimings(inference_s=1.25, total_s=2.0),
        ),
    ),
]
