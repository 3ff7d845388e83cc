"""OpenAI's wire format, and that of the many servers that speak it (vLLM, SGLang, llama.cpp, LiteLLM, Azure,
Groq, DeepSeek, xAI, Together, Fireworks, OpenRouter, ...): https://platform.openai.com/docs/api-reference.

Not requests, since no model runs: /models, /files, /batches, /responses/{id} (a poll),
/responses/{id}/cancel, /responses/input_tokens, /tokenize.
"""

from __future__ import annotations

from collections.abc import Mapping

from fanlight.capture.answer import Answer, Usage
from fanlight.capture.values import count, text
from fanlight.capture.wire_format import Fields, WireFormat, endpoint

_FINAL_EVENTS = (
    "response.completed",
    "response.incomplete",
    "response.failed",
    "response.cancelled",
    "error",
)
_FINAL_STATUS = ("incomplete", "failed", "cancelled")


def absorb(answer: Answer, body: Mapping[str, object]) -> bool:
    """Take what one JSON body, or one event of a stream of chat or completions, says."""
    _absorb_object(answer, body)
    return False


def absorb_response(answer: Answer, body: Mapping[str, object]) -> bool:
    """The same of the responses API, whose events hold the response so far."""
    nested = body.get("response")
    kind = body.get("type")
    if isinstance(nested, dict):
        _absorb_object(answer, nested)
    elif kind == "error" and "error" not in body:
        answer.error_type = text(body.get("code")) or "error"
    else:
        _absorb_object(answer, body)
    return kind in _FINAL_EVENTS


def _absorb_object(answer: Answer, body: Mapping[str, object]) -> None:
    if answer.id is None:
        answer.id = text(body.get("id"))
    answer.model = text(body.get("model")) or answer.model
    choices = body.get("choices")
    if isinstance(choices, list):
        _absorb_choices(answer, choices)
    elif body.get("object") == "response":
        _absorb_status(answer, body)
    usage = body.get("usage")
    if isinstance(usage, dict):
        answer.usage = read_usage(usage)
    elif isinstance(vendor := body.get("x_groq"), dict) and isinstance(vendor.get("usage"), dict):
        answer.usage = read_usage(vendor["usage"])
    error = body.get("error")
    if isinstance(error, dict):
        answer.error_type = text(error.get("type")) or text(error.get("code")) or "error"
    elif error:
        answer.error_type = "error"


def _absorb_choices(answer: Answer, choices: list[object]) -> None:
    for position, choice in enumerate(choices):
        if not isinstance(choice, dict):
            continue
        reason = choice.get("finish_reason")
        if isinstance(reason, str):
            index = choice.get("index")
            answer.finish_reasons[index if isinstance(index, int) else position] = reason


def _absorb_status(answer: Answer, body: Mapping[str, object]) -> None:
    """The responses API has a status in place of a finish reason."""
    status = body.get("status")
    if status == "completed":
        answer.finish_reasons[0] = "stop"
    elif status in _FINAL_STATUS:
        details = body.get("incomplete_details")
        reason = text(details.get("reason")) if isinstance(details, dict) else None
        answer.finish_reasons[0] = reason or str(status)


def read_usage(usage: Mapping[str, object]) -> Usage:
    """Tokens from a `usage` object, in the spelling of chat completions or of the responses API."""
    get = usage.get
    input_tokens = count(get("prompt_tokens", get("input_tokens")))
    output_tokens = count(get("completion_tokens", get("output_tokens")))
    of_input = get("prompt_tokens_details") or get("input_tokens_details")
    of_output = get("completion_tokens_details") or get("output_tokens_details")
    cached = written = reasoning = None
    if isinstance(of_input, dict):
        cached = count(of_input.get("cached_tokens"))
        written = count(of_input.get("cache_write_tokens", of_input.get("cache_creation_tokens")))
    if "prompt_cache_hit_tokens" in usage:
        cached = count(usage["prompt_cache_hit_tokens"])  # DeepSeek: api-docs.deepseek.com/guides/kv_cache
    if isinstance(of_output, dict):
        reasoning = count(of_output.get("reasoning_tokens"))
    if reasoning and output_tokens is not None and input_tokens is not None:
        # xAI keeps reasoning out of completion_tokens; the total tells (docs.x.ai, "usage").
        total = count(get("total_tokens"))
        if total == input_tokens + output_tokens + reasoning:
            output_tokens += reasoning
    return Usage(input_tokens, output_tokens, cached, written, reasoning)


_FIELDS = Fields(max_tokens=("max_completion_tokens", "max_output_tokens", "max_tokens"))
_NEWS = ("usage", "finish_reason")

CHAT = WireFormat(
    "openai.chat",
    "openai",
    absorb,
    _FIELDS,
    text_keys=("content", "reasoning_content", "reasoning", "arguments", "refusal"),
    news_keys=_NEWS,
)
COMPLETIONS = WireFormat(
    "openai.completions", "openai", absorb, _FIELDS, text_keys=("text",), news_keys=_NEWS
)
RESPONSES = WireFormat(
    "openai.responses", "openai", absorb_response, _FIELDS, text_keys=("delta",), news_keys=_NEWS
)

_RESPONSE_KEYS = ("input", "prompt", "previous_response_id", "conversation")
ENDPOINTS = (
    endpoint("chat", "/chat/completions", CHAT, "messages"),
    endpoint("text_completion", "/completions", COMPLETIONS, "prompt", inputs="prompt"),
    endpoint("chat", "/responses", RESPONSES, *_RESPONSE_KEYS),
    endpoint("chat", "/responses/compact", RESPONSES, "input", "previous_response_id"),
    endpoint("embeddings", "/embeddings", CHAT, "input", inputs="input"),
    endpoint("moderation", "/moderations", CHAT, "input", inputs="input"),
    endpoint("image_generation", "/images/generations", CHAT, "prompt"),
    endpoint("image_generation", "/images/edits", CHAT),
    endpoint("image_generation", "/images/variations", CHAT),
    endpoint("speech", "/audio/speech", CHAT, "input"),
    endpoint("transcription", "/audio/transcriptions", CHAT),
    endpoint("transcription", "/audio/translations", CHAT),
    endpoint("rerank", "/rerank", CHAT, "documents", inputs="documents"),
)
