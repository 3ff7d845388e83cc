"""Alibaba's own API, DashScope: https://www.alibabacloud.com/help/en/model-studio/qwen-api-via-dashscope.

id       request_id      finish reasons   output.finish_reason, output.choices[].finish_reason
error    code            tokens           usage, in the names of the responses API, by the rule OPENAI

Every event of a stream has the usage so far. Answers name no model.
"""

from __future__ import annotations

from collections.abc import Mapping

from fanlight.capture.answer import Answer
from fanlight.capture.formats import openai
from fanlight.capture.values import mapping, mappings, text
from fanlight.capture.wire_format import Fields, WireFormat, endpoint


def absorb(answer: Answer, body: Mapping[str, object]) -> bool:
    """Take what an answer, or one event of its stream, says."""
    answer.id = text(body.get("request_id")) or answer.id
    output = mapping(body.get("output"))
    for place, holder in [(0, output), *mappings(output.get("choices"))]:
        reason = text(holder.get("finish_reason"))
        if reason not in (None, "null"):
            answer.finish_reasons[place] = str(reason)
    openai.absorb_usage(answer, mapping(body.get("usage")))
    answer.error_type = text(body.get("code")) or answer.error_type
    return False


GENERATION = WireFormat(
    "dashscope",
    "alibaba_cloud",
    absorb,
    Fields(
        stream="parameters.incremental_output",
        choices=("parameters.n",),
        max_tokens=("parameters.max_tokens",),
    ),
    text_keys=("content", "text", "reasoning_content", "arguments"),
    latest_key="usage",
)
EMBED = WireFormat("dashscope.embed", "alibaba_cloud", absorb, beside_array="usage")

_SERVICES = "/services"
ENDPOINTS = (
    *(
        endpoint("chat", f"{_SERVICES}/aigc/{kind}/generation", GENERATION, "input", also=("model",))
        for kind in ("text-generation", "multimodal-generation")
    ),
    *(
        endpoint("embeddings", f"{_SERVICES}/embeddings/{kind}/{kind}", EMBED, "input", also=("model",))
        for kind in ("text-embedding", "multimodal-embedding")
    ),
    endpoint("rerank", f"{_SERVICES}/rerank/text-rerank/text-rerank", EMBED, "input", also=("model",)),
)
