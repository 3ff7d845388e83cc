"""IBM watsonx.ai: https://cloud.ibm.com/apidocs/watsonx-ai#text-generation.

    model    model_id      finish reasons   results[].stop_reason      tokens   by the rule WATSONX

Chats answer in OpenAI's format.
"""

from __future__ import annotations

from collections.abc import Mapping

from fanlight.capture.answer import Answer, Usage
from fanlight.capture.formats import openai
from fanlight.capture.token_rules import WATSONX
from fanlight.capture.values import added, mappings, text
from fanlight.capture.wire_format import Fields, WireFormat, endpoint


def absorb(answer: Answer, body: Mapping[str, object]) -> bool:
    """Take what generated texts, embeddings, or one event of a stream say."""
    answer.model = text(body.get("model_id")) or answer.model
    results = mappings(body.get("results"))
    for place, result in results:
        reason = text(result.get("stop_reason"))
        if reason is not None and reason.lower() != "not_finished":
            answer.finish_reasons[place] = reason
    before = answer.usage or Usage()
    counted = [WATSONX.read(holder) or Usage() for holder in (body, *(result for _, result in results))]
    usage = Usage(
        _larger(before.input_tokens, added(*(one.input_tokens for one in counted))),
        _larger(before.output_tokens, added(*(one.output_tokens for one in counted))),
    )
    answer.usage = None if usage == Usage() else usage
    if errors := mappings(body.get("errors")):
        answer.error_type = text(errors[0][1].get("code")) or "error"
    return False


def absorb_chat(answer: Answer, body: Mapping[str, object]) -> bool:
    """Take what a chat's answer, or one event of its stream, says."""
    openai.absorb(answer, body)
    if answer.model is None:
        answer.model = text(body.get("model_id"))
    return False


def _larger(one: int | None, other: int | None) -> int | None:
    known = [number for number in (one, other) if number is not None]
    return max(known) if known else None


TEXT = WireFormat(
    "watsonx.text",
    "ibm.watsonx.ai",
    absorb,
    Fields(model=("model_id",), max_tokens=("parameters.max_new_tokens",)),
    text_keys=("generated_text",),
    news_keys=("results",),
)
CHAT = WireFormat(
    "watsonx.chat",
    "ibm.watsonx.ai",
    absorb_chat,
    Fields(model=("model_id",), max_tokens=("max_completion_tokens", "max_tokens")),
    text_keys=openai.CHAT.text_keys,
    news_keys=openai.CHAT.news_keys,
    latest_key="usage",
)

ENDPOINTS = (
    endpoint("text_completion", "/text/generation", TEXT, "input", "parameters", streams=False),
    endpoint("text_completion", "/text/generation_stream", TEXT, "input", "parameters", streams=True),
    endpoint("chat", "/text/chat", CHAT, "messages", streams=False),
    endpoint("chat", "/text/chat_stream", CHAT, "messages", streams=True),
    endpoint("embeddings", "/text/embeddings", TEXT, "inputs", streams=False, inputs="inputs"),
    endpoint("rerank", "/text/rerank", TEXT, "inputs", streams=False, inputs="inputs"),
)
