"""Small answers by hand: Ollama, Cohere, watsonx and Replicate."""

from fanlight.capture.answer import ServerTimings, Usage
from wire_shapes import LINES, SSE, TEXTS, Example, answer, dump, lines, named_sse, sse

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

EXAMPLES = [
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
