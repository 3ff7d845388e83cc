"""Small answers by hand: Gemini and Vertex."""

import json
from typing import Any

from fanlight.capture.answer import Usage
from wire_shapes import JSON, SSE, TEXTS, Example, answer, dump, sse

GEMINI = "/v1beta/models/gemini-2.5-flash"


VERTEX = "/v1/projects/p/locations/l/publishers"


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

EXAMPLES = [
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
]
