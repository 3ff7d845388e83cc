"""Small answers by hand: OpenAI's format, as OpenAI and others write it."""

from typing import Any

from fanlight.capture.answer import ServerTimings, Usage
from wire_shapes import SSE, TEXTS, Example, answer, dump, named_sse, sse


def _openai_chunk(text: str | None, reason: str | None = None, **more: Any) -> dict[str, Any]:
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "c1", "model": "m", "choices": [choice], **more}


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
]
