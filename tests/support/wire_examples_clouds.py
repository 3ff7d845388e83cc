"""Small answers by hand: Alibaba, Cloudflare, MiniMax, Mistral's audio, Moonshot, NVIDIA, Pinecone, Voyage.

Shapes follow the pages that `fanlight.capture.formats` names where it declares these endpoints.
"""

from fanlight.capture.answer import Usage
from wire_shapes import JSON, SSE, TEXTS, Example, answer, dump, sse

DONE = b"data: [DONE]\n\n"
COUNTS = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
CHOICE = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "a"}}
CHAT = {"id": "c1", "model": "m", "choices": [CHOICE], "usage": COUNTS}
SAID = answer("m", "c1", Usage(5, 7), "stop")


def chunk(text: str, reason: str | None = None, **more: object) -> dict[str, object]:
    delta = {"content": text} if text else {}
    return {
        "id": "c1",
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason, **more}],
    }


def qwen(text: str, reason: str, output: int) -> dict[str, object]:
    usage = {"input_tokens": 9, "output_tokens": output, "prompt_tokens_details": {"cached_tokens": 4}}
    message = {"role": "assistant", "content": text}
    return {
        "output": {"choices": [{"message": message, "finish_reason": reason}]},
        "usage": usage,
        "request_id": "r1",
    }


GENERATION = "/api/v1/services/aigc/text-generation/generation"
WORKERS = "/client/v4/accounts/a/ai/run/@cf/meta/llama-3.1-8b-instruct"

EXAMPLES = [
    Example(
        "dashscope, stream",
        GENERATION,
        sse(*(qwen(text, "null", place + 1) for place, text in enumerate(TEXTS)), qwen("", "stop", 3)),
        answer(None, "r1", Usage(9, 3, 4), "stop"),
        SSE,
        texts=TEXTS,
    ),
    Example(
        "dashscope, text",
        GENERATION,
        dump(
            {
                "output": {"text": "a", "finish_reason": "length"},
                "usage": {"input_tokens": 3, "output_tokens": 1},
            }
        ),
        answer(None, None, Usage(3, 1), "length"),
    ),
    Example(
        "dashscope, refused",
        GENERATION,
        dump({"code": "InvalidApiKey", "message": "no", "request_id": "r1"}),
        answer(None, "r1", error="InvalidApiKey"),
    ),
    Example(
        "workers ai",
        WORKERS,
        dump({"result": {"response": "a", "usage": COUNTS}, "success": True, "errors": [], "messages": []}),
        answer(None, None, Usage(5, 7)),
    ),
    Example(
        "workers ai, stream",
        WORKERS,
        sse(*({"response": text, "p": "abc"} for text in TEXTS), {"response": "", "usage": COUNTS}, end=DONE),
        answer(None, None, Usage(5, 7)),
        SSE,
        texts=TEXTS,
        ends=True,
    ),
    Example(
        "workers ai, refused",
        WORKERS,
        dump({"result": None, "success": False, "errors": [{"code": 7009, "message": "no"}], "messages": []}),
        answer(error="7009"),
    ),
    Example(
        "moonshot, stream with usage in the choice",
        "/v1/chat/completions",
        sse(
            *(chunk(text) for text in TEXTS),
            chunk("", "stop", usage={**COUNTS, "cached_tokens": 2}),
            end=DONE,
        ),
        answer("m", "c1", Usage(5, 7, 2), "stop"),
        SSE,
        texts=TEXTS,
        ends=True,
    ),
    Example(
        "minimax, no money",
        "/v1/text/chatcompletion_v2",
        dump({"id": "c1", "choices": None, "base_resp": {"status_code": 1008, "status_msg": "no"}}),
        answer(None, "c1", error="1008"),
    ),
    Example(
        "minimax",
        "/v1/text/chatcompletion_v2",
        dump({**CHAT, "base_resp": {"status_code": 0, "status_msg": ""}}),
        SAID,
    ),
    Example(
        "an error event that is the error itself",
        "/api/paas/v4/chat/completions",
        sse(chunk(TEXTS[0])) + b'event: error\ndata: {"code":"1305","message":"busy"}\n\n',
        answer("m", "c1", error="1305"),
        SSE,
        texts=TEXTS[:1],
    ),
    Example(
        "an error without a frame in a stream",
        "/v1/chat/completions",
        sse(chunk(TEXTS[0])) + dump({"error": {"type": "server_error", "message": "x"}}) + b"\n",
        answer("m", "c1", error="server_error"),
        SSE,
        texts=TEXTS[:1],
    ),
    Example(
        "an event over several lines",
        "/v1/chat/completions",
        sse(chunk(TEXTS[0])).replace(b'"choices"', b'\ndata: "choices"')
        + sse({**chunk("", "stop"), "usage": COUNTS}, end=DONE).replace(b'"usage"', b'\ndata: "usage"'),
        SAID,
        SSE,
        texts=TEXTS[:1],
        ends=True,
    ),
    Example(
        "mistral, transcription",
        "/v1/audio/transcriptions",
        dump(
            {
                "model": "voxtral",
                "text": "a",
                "usage": {
                    "prompt_audio_seconds": 203,
                    "prompt_tokens": 4,
                    "completion_tokens": 635,
                    "total_tokens": 3264,
                },
            }
        ),
        answer("voxtral", None, Usage(3264 - 635, 635)),
    ),
    Example(
        "mistral, classification",
        "/v1/classifications",
        dump({"id": "c1", "model": "m", "results": [], "usage": {"prompt_tokens": 5, "total_tokens": 5}}),
        answer("m", "c1", Usage(5)),
    ),
    Example(
        "voyage, images",
        "/v1/multimodalembeddings",
        dump(
            {
                "data": [],
                "model": "v",
                "usage": {"text_tokens": 5, "image_pixels": 2000000, "total_tokens": 3576},
            }
        ),
        answer("v", None, Usage(3576)),
    ),
    Example(
        "nvidia, rerank",
        "/v1/ranking",
        dump({"rankings": [{"index": 0, "logit": 1.5}], "usage": {"prompt_tokens": 11, "total_tokens": 11}}),
        answer(None, None, Usage(11)),
    ),
    Example(
        "pinecone, embed",
        "/embed",
        dump({"model": "e", "data": [{"values": [0.5]}], "usage": {"total_tokens": 205}}),
        answer("e", None, Usage(205)),
    ),
    Example(
        "tei, rerank",
        "/rerank",
        dump([{"index": 0, "score": 0.9}]),
        answer(None, None, Usage(7)),
        JSON,
        {"x-compute-tokens": "7"},
    ),
    Example(
        "ai21 at vertex",
        "/v1/projects/p/locations/l/publishers/ai21/models/jamba:rawPredict",
        dump(CHAT),
        SAID,
    ),
    Example(
        "video",
        "/v1/videos",
        dump({"id": "video_1", "object": "video", "model": "sora", "status": "queued", "seconds": "4"}),
        answer("sora", "video_1"),
    ),
]
