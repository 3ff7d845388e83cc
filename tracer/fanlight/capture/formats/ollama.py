"""Ollama's own API: https://github.com/ollama/ollama/blob/main/docs/api.md.

    model    model     finish reason   done_reason     tokens   the answer, by the rule OLLAMA
    times    load_duration, prompt_eval_duration, eval_duration, total_duration, in ns

There is no id. A stream, the default, is one JSON object a line; the last one has the counts.
"""

from __future__ import annotations

from collections.abc import Mapping

from fanlight.capture.answer import Answer, ServerTimings
from fanlight.capture.formats.openai import absorb_error
from fanlight.capture.token_rules import OLLAMA
from fanlight.capture.values import seconds, text
from fanlight.capture.wire_format import Fields, WireFormat, endpoint

NS = 1e-9


def absorb(answer: Answer, body: Mapping[str, object]) -> bool:
    """Take what an answer, or one line of its stream, says."""
    answer.model = text(body.get("model")) or answer.model
    reason = text(body.get("done_reason"))
    if reason is not None:
        answer.finish_reasons[0] = reason
    answer.usage = OLLAMA.read(body) or answer.usage
    if "total_duration" in body:
        answer.timings = _read_timings(body)
    absorb_error(answer, body.get("error"))
    return body.get("done") is True


def _read_timings(body: Mapping[str, object]) -> ServerTimings:
    return ServerTimings(
        load_s=seconds(body.get("load_duration"), NS),
        prefill_s=seconds(body.get("prompt_eval_duration"), NS),
        decode_s=seconds(body.get("eval_duration"), NS),
        total_s=seconds(body.get("total_duration"), NS),
    )


_LIMIT = ("options.num_predict",)
CHAT = WireFormat(
    "ollama",
    "ollama",
    absorb,
    Fields(streams_by_default=True, max_tokens=_LIMIT),
    text_keys=("content", "response", "thinking"),
    news_keys=("done",),
)
EMBED = WireFormat(
    "ollama.embed", "ollama", absorb, Fields(max_tokens=_LIMIT), beside_array="prompt_eval_count"
)

ENDPOINTS = (
    endpoint("chat", "/api/chat", CHAT, "messages", also=("model",)),
    endpoint("text_completion", "/api/generate", CHAT, "prompt", "system", "suffix", also=("model",)),
    endpoint("embeddings", "/api/embed", EMBED, "input", also=("model",), inputs="input"),
    endpoint("embeddings", "/api/embeddings", EMBED, "prompt", also=("model",), inputs="prompt"),
)
