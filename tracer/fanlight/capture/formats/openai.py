"""OpenAI's wire format, and that of the many servers that speak it (vLLM, SGLang, llama.cpp, LiteLLM, Azure,
Groq, DeepSeek, xAI, Together, Fireworks, OpenRouter, Mistral, ...): https://platform.openai.com/docs/api-reference.

    id       id          finish reasons   choices[].finish_reason, or status
    model    model       tokens           usage, by the rule OPENAI
    error    error.type, else error.code

Not requests, since no model runs: /models, /files, /batches, /responses/{id} (a poll),
/responses/{id}/cancel, /responses/input_tokens, /tokenize.
"""

from __future__ import annotations

from collections.abc import Mapping

from fanlight.capture.answer import Answer, Usage
from fanlight.capture.formats.openai_timings import TIMED, TIMED_USAGE, read_timings
from fanlight.capture.token_rules import ONLY_TOTAL, OPENAI
from fanlight.capture.values import added, count, mapping, text
from fanlight.capture.wire_format import Fields, WireFormat, endpoint

_FINAL_EVENTS = (
    "response.completed",
    "response.incomplete",
    "response.failed",
    "response.cancelled",
    "error",
)
_FINAL_STATUS = ("incomplete", "failed", "cancelled", "expired", "requires_action")


def absorb(answer: Answer, body: Mapping[str, object]) -> bool:
    """Take what one JSON body, or one event of a stream of chat or completions, says."""
    if answer.id is None:
        answer.id = text(body.get("id"))
    model = body.get("model")
    if model != answer.model:
        answer.model = text(model) or answer.model
    choices = body.get("choices")
    if isinstance(choices, list):
        _absorb_choices(answer, choices)
    usage, error = body.get("usage"), body.get("error")
    if "x_groq" in body:
        vendor = mapping(body["x_groq"])
        usage, error = usage or vendor.get("usage"), error or vendor.get("error")
    if isinstance(usage, dict):
        answer.usage = read_usage(usage) or answer.usage
        if not (TIMED.isdisjoint(body) and TIMED_USAGE.isdisjoint(usage)):
            answer.timings = read_timings(body, usage) or answer.timings
    elif not TIMED.isdisjoint(body):
        answer.timings = read_timings(body, _NONE) or answer.timings
    if not error and ("choices" not in body or "base_resp" in body or body.get("object") == "error"):
        error = _said_error(body)
    if error:
        absorb_error(answer, error)
    return False


_NONE: Mapping[str, object] = {}


def _said_error(body: Mapping[str, object]) -> Mapping[str, object] | None:
    """An error that is the body itself: Mistral, vLLM before 0.10; an `event: error` of Z.ai; MiniMax."""
    if body.get("object") == "error" or ("choices" not in body and text(body.get("message")) is not None):
        return body
    status = mapping(body["base_resp"]).get("status_code") if "base_resp" in body else None
    return {"code": status} if status else None


def absorb_response(answer: Answer, body: Mapping[str, object]) -> bool:
    """The same of the responses API, whose events hold the response so far, and of runs of assistants."""
    nested = body.get("response")
    kind = body.get("type")
    if isinstance(nested, dict):
        answer.id = None  # a proxy may give each event another one: the last is the response's
        _absorb_response(answer, nested)
    elif kind == "error" and "error" not in body:
        answer.error_type = text(body.get("code")) or "error"
    elif kind == "error" or body.get("object") not in _PARTS:
        _absorb_response(answer, body)
    return kind in _FINAL_EVENTS


_PARTS = ("thread.run.step", "thread.run.step.delta", "thread.message", "thread.message.delta", "thread")


def _absorb_response(answer: Answer, body: Mapping[str, object]) -> None:
    absorb(answer, body)
    absorb_error(answer, body.get("last_error"))
    status = body.get("status")
    if status == "completed":
        answer.finish_reasons[0] = "stop"
    elif status in _FINAL_STATUS:
        reason = text(mapping(body.get("incomplete_details")).get("reason"))
        answer.finish_reasons[0] = reason or str(status)


def _absorb_choices(answer: Answer, choices: list[object]) -> None:
    for position, choice in enumerate(choices):
        if not isinstance(choice, dict):
            continue
        reason = text(choice.get("finish_reason")) or text(choice.get("stop_reason"))  # DeepSeek on Bedrock
        if reason is not None:
            index = choice.get("index")
            answer.finish_reasons[index if isinstance(index, int) else position] = reason
        if isinstance(choice.get("usage"), dict):  # Moonshot's streams
            absorb_usage(answer, mapping(choice["usage"]))


def absorb_error(answer: Answer, error: object) -> None:
    """Take an `error` member: an object with a type or a code, or only a text."""
    if isinstance(error, dict):
        code = error.get("code")
        word = text(error.get("type")) or text(code) or text(error.get("status"))  # Google has a status
        answer.error_type = word or (str(code) if code else "error")
    elif error:
        answer.error_type = "error"


def absorb_usage(answer: Answer, usage: Mapping[str, object]) -> None:
    """Take a `usage` object, unless it has no tokens in it (audio has seconds)."""
    answer.usage = read_usage(usage) or answer.usage


def read_usage(usage: Mapping[str, object]) -> Usage | None:
    """Tokens from a `usage` object, in the spelling of chat completions or of the responses API."""
    found = OPENAI.read(usage)
    if found is None:
        return ONLY_TOTAL.read(usage)
    if "prompt_audio_seconds" in usage:  # Mistral's prompt_tokens leave audio out
        total = count(usage.get("total_tokens"))
        if total is not None:
            return found._replace(input_tokens=max(total - (found.output_tokens or 0), 0))
    if not found.reasoning_tokens:
        return found
    # xAI keeps reasoning out of completion_tokens; the total tells (docs.x.ai, "usage").
    summed = added(found.input_tokens, found.output_tokens, found.reasoning_tokens)
    if summed == usage.get("total_tokens") and found.output_tokens is not None:
        return found._replace(output_tokens=found.output_tokens + found.reasoning_tokens)
    return found


_FIELDS = Fields(
    model=("model", "agent_id"),
    max_tokens=("max_completion_tokens", "max_output_tokens", "max_tokens"),
)

CHAT = WireFormat(
    "openai.chat",
    "openai",
    absorb,
    _FIELDS,
    text_keys=("content", "reasoning_content", "reasoning", "arguments", "refusal", "text"),
    news_keys=("finish_reason",),
    latest_key="usage",
)
COMPLETIONS = WireFormat(
    "openai.completions",
    "openai",
    absorb,
    _FIELDS,
    text_keys=("text",),
    news_keys=("finish_reason",),
    latest_key="usage",
)
RESPONSES = WireFormat("openai.responses", "openai", absorb_response, _FIELDS, text_keys=("delta",))
# https://platform.openai.com/docs/api-reference/runs: a run's polls are none.
RUNS = WireFormat(
    "openai.runs",
    "openai",
    absorb_response,
    Fields(model=("model",), max_tokens=("max_completion_tokens",)),
    text_keys=("value",),
)

# Streams of transcripts and of speech, whose last event has the usage.
AUDIO = WireFormat("openai.audio", "openai", absorb, _FIELDS, text_keys=("delta",), latest_key="usage")

EMBEDDINGS = WireFormat("openai.embeddings", "openai", absorb, _FIELDS, beside_array="usage")

_RESPONSE_KEYS = ("input", "prompt", "previous_response_id", "conversation")
ENDPOINTS = (
    endpoint("chat", "/chat/completions", CHAT, "messages"),
    endpoint("text_completion", "/completions", COMPLETIONS, "prompt", inputs="prompt"),
    endpoint("chat", "/responses", RESPONSES, *_RESPONSE_KEYS),
    endpoint("chat", "/responses/compact", RESPONSES, "input", "previous_response_id"),
    endpoint("embeddings", "/embeddings", EMBEDDINGS, "input", inputs="input"),
    endpoint("moderation", "/moderations", CHAT, "input", inputs="input"),
    endpoint("image_generation", "/images/generations", CHAT, "prompt"),
    endpoint("image_generation", "/images/edits", CHAT),
    endpoint("image_generation", "/images/variations", CHAT),
    endpoint("speech", "/audio/speech", AUDIO, "input"),
    endpoint("transcription", "/audio/transcriptions", AUDIO),
    endpoint("transcription", "/audio/translations", AUDIO),
    endpoint("video_generation", "/videos", CHAT, "prompt", also=("model",)),
    # MiniMax (platform.minimax.io/docs/api-reference/text-post), Snowflake (docs.snowflake.com, "Cortex REST
    # API"), containers on SageMaker
    endpoint("chat", "/text/chatcompletion_v2", CHAT, "messages", also=("model",)),
    endpoint("chat", "/cortex/inference:complete", CHAT, "messages", also=("model",)),
    endpoint("chat", "/endpoints/{model}/invocations", CHAT, "messages", "inputs", "prompt"),
    # Voyage (docs.voyageai.com/reference), of images and of chunks in their documents
    endpoint("embeddings", "/multimodalembeddings", EMBEDDINGS, "inputs", also=("model",), inputs="inputs"),
    endpoint(
        "embeddings", "/contextualizedembeddings", EMBEDDINGS, "inputs", also=("model",), inputs="inputs"
    ),
    # Mistral (docs.mistral.ai/api), vLLM ("Classification API") and Cohere
    endpoint("classification", "/classifications", CHAT, "input", also=("model",), inputs="input"),
    endpoint("classification", "/classify", CHAT, "input", "inputs", also=("model",), inputs="input"),
    # NVIDIA (docs.nvidia.com/nim/nemo-retriever/text-reranking)
    endpoint("rerank", "/ranking", CHAT, "passages", also=("query", "model"), inputs="passages"),
    # Databricks (docs.databricks.com, "Query foundation models")
    endpoint("chat", "/serving-endpoints/{model}/invocations", CHAT, "messages"),
    endpoint("rerank", "/score", CHAT, "text_1", "queries", also=("model",)),  # vLLM, "Score API"
    endpoint("embeddings", "/pooling", EMBEDDINGS, "input", also=("model",), inputs="input"),
    endpoint("chat", "/threads/*/runs", RUNS, "assistant_id"),
    endpoint("chat", "/threads/runs", RUNS, "assistant_id"),
    endpoint("chat", "/runs/*/submit_tool_outputs", RUNS, "tool_outputs"),
)
