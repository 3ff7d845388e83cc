"""Cloudflare Workers AI: https://developers.cloudflare.com/workers-ai/get-started/rest-api/.

The model is in the path. An answer stands in `result`, a stream has `response` or OpenAI's chunks; both have
OpenAI's `usage`. Errors are a list of codes.
"""

from __future__ import annotations

from collections.abc import Mapping

from fanlight.capture.answer import Answer
from fanlight.capture.formats import openai
from fanlight.capture.values import mapping, mappings
from fanlight.capture.wire_format import Fields, WireFormat, endpoint


def absorb(answer: Answer, body: Mapping[str, object]) -> bool:
    """Take what an answer, or one event of its stream, says."""
    openai.absorb(answer, mapping(body.get("result")) or body)
    for _, error in mappings(body.get("errors"))[:1]:
        openai.absorb_error(answer, error)
    return False


RUN = WireFormat(
    "workers_ai",
    "cloudflare",
    absorb,
    Fields(model=()),
    text_keys=("response", *openai.CHAT.text_keys),
    news_keys=openai.CHAT.news_keys,
    latest_key="usage",
)

ENDPOINTS = (
    # Ahead of the text models: these names are alike only in what they end with.
    endpoint("embeddings", "/ai/run/@cf/*/{model:bge}", RUN, "text", inputs="text"),
    endpoint("chat", "/ai/run/@cf/*/{model}", RUN, "messages", "prompt"),
)
