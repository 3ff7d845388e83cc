"""Small answers by hand: the own APIs of serving engines."""

from fanlight.capture.answer import ServerTimings, Usage
from wire_shapes import SSE, TEXTS, Example, answer, dump, sse

LATENCY = ServerTimings(total_s=0.25)

EXAMPLES = [
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
]
