"""What a recorded answer says, read the slow way: the whole body decoded, as the provider documents it.

Nothing here is shared with `fanlight.capture`; it shall not be faster, stream, or survive a broken body.

    expected_answer("anthropic", 200, {}, body) == Expected(model="claude-...", input_tokens=7, ...)
"""

import base64
import json
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Expected:
    """One answer; None is not said."""

    model: str | None = None
    id: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    finish_reasons: tuple[str, ...] = ()
    error: str | None = None


# The path of a call of a model, method POST, and who documents its answer. All other paths are none.
READERS_BY_PATH: list[tuple[str, str]] = [
    (r"/v1/responses(/compact)?$", "responses"),
    (r"/chat/completions$|/v1/completions$|/embeddings$|/images/generations$|/moderations$", "openai"),
    (r"/threads/\w+/runs$|/submit_tool_outputs$", "runs"),
    (r"^/v1/(messages|complete)$", "anthropic"),
    (r":(generateContent|streamGenerateContent|batchEmbedContents)$", "gemini"),
    (r"^/v1beta/interactions$", "interactions"),
    (r"^/api/(chat|generate|embed|embeddings)$", "ollama"),
    (r"^/v[12]/(chat|generate|embed|rerank)$", "cohere"),
    (r"/converse(-stream)?$", "bedrock"),
    (r"/invoke(-with-response-stream)?$", "bedrock"),
]


def reader_of(path: str) -> str | None:
    """Whose documentation describes answers from this path; None if it is no call of a model."""
    if re.search(r"^/api/", path) is None and path.endswith("/api/embeddings"):
        return None
    for pattern, name in sorted(READERS_BY_PATH, key=lambda row: row[1] != "ollama"):
        if re.search(pattern, path):
            return name
    return None


def expected_answer(reader: str, status: int, headers: dict[str, str], body: bytes) -> Expected:
    """What an answer says; `reader` is from `reader_of`."""
    documents = all_documents(body)
    if status >= 400:
        return Expected(id=_error_id(reader, documents), error=_ERRORS[reader](documents, headers))
    return _READERS[reader](documents, headers)


def all_documents(body: bytes) -> list[Json]:
    """Every JSON object of a body: one, an array, lines, server-sent events, or Amazon's binary messages."""
    if body[:1] == b"\0":
        return list(_amazon_messages(body))
    try:
        whole = json.loads(body)
    except ValueError:
        lines = [line.removeprefix(b"data:").strip() for line in re.split(rb"\r?\n", body)]
        return [json.loads(line) for line in lines if line[:1] == b"{"]
    return whole if isinstance(whole, list) else [whole]


def _amazon_messages(body: bytes) -> Any:
    while body:
        total, header_length = struct.unpack(">II", body[:8])
        payload = json.loads(body[12 + header_length : total - 4])
        yield json.loads(base64.b64decode(payload["bytes"])) if "bytes" in payload else payload
        body = body[total:]


def last(documents: list[Json], path: str) -> Any:
    """The last value at a dotted path that is neither null nor empty text."""
    found = None
    for document in documents:
        value: Any = document
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        found = found if value in (None, "") else value
    return found


def plus(*counts: int | None) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _choices(documents: list[Json], holder: str, reason: str) -> tuple[str, ...]:
    """The last reason of each choice, in the order in which they ended."""
    found: dict[int, str] = {}
    for document in documents:
        for place, choice in enumerate(document.get(holder) or []):
            if choice.get(reason):
                found[choice.get("index", place)] = choice[reason]
    return tuple(found.values())


def _openai_usage(usage: Json | None) -> Json:
    """https://platform.openai.com/docs/api-reference/chat/object: cached are in the prompt, reasoning in the
    completion. DeepSeek says prompt_cache_hit_tokens, Mistral num_cached_tokens, Together cached_tokens."""
    usage = usage or {}
    inputs = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
    outputs = usage.get("completion_tokens_details") or usage.get("output_tokens_details") or {}
    cached = [usage.get(name) for name in ("prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens")]
    return {
        "input_tokens": usage.get("prompt_tokens", usage.get("input_tokens")),
        "output_tokens": usage.get("completion_tokens", usage.get("output_tokens")),
        "cache_read_tokens": next((n for n in [*cached, inputs.get("cached_tokens")] if n is not None), None),
        "cache_write_tokens": inputs.get("cache_write_tokens"),
        "reasoning_tokens": outputs.get("reasoning_tokens", usage.get("reasoning_tokens")),
    }


def _openai(documents: list[Json], headers: dict[str, str]) -> Expected:
    return Expected(
        model=last(documents, "model"),
        id=next(
            (document["id"] for document in documents if document.get("id")), None
        ),  # the first: Groq's last event has the id "stub"
        finish_reasons=_choices(documents, "choices", "finish_reason"),
        error=_openai_error(documents, headers),
        **_openai_usage(last(documents, "usage") or last(documents, "x_groq.usage")),
    )


def _responses(documents: list[Json], headers: dict[str, str]) -> Expected:
    """https://platform.openai.com/docs/api-reference/responses/object. `completed` is written as `stop`."""
    response = last(documents, "response") or last(documents, "") or documents[-1]
    status = response.get("status")
    reason = (response.get("incomplete_details") or {}).get("reason")
    reasons = {"completed": ("stop",), "incomplete": (reason,), "failed": (reason or "failed",)}
    error = response.get("error") or last([d for d in documents if d.get("type") == "error"], "error") or {}
    return Expected(
        model=response.get("model"),
        id=response.get("id"),
        finish_reasons=reasons.get(status, (status,) if status in ("requires_action", "expired") else ()),
        error=error.get("type") or error.get("code"),
        **_openai_usage(response.get("usage")),
    )


def _anthropic(documents: list[Json], headers: dict[str, str]) -> Expected:
    """https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching: the input is input_tokens and
    both cache counts; message_delta's counts are of the whole message; compactions are not in the totals."""
    message = last(documents, "message") or documents[-1]
    deltas = [document for document in documents if document.get("type") == "message_delta"]
    usages = [
        *([message["usage"]] if "usage" in message else []),
        *(d["usage"] for d in deltas if "usage" in d),
    ]
    usage: Json = {}
    for one in usages:
        usage |= {key: value for key, value in one.items() if value is not None}
    for part in usage.get("iterations") or []:
        if part["type"] == "compaction":
            for key in (
                "input_tokens",
                "output_tokens",
                "cache_read_input_tokens",
                "cache_creation_input_tokens",
            ):
                usage[key] = (usage.get(key) or 0) + (part.get(key) or 0)
    read, written = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
    reason = last(documents, "delta.stop_reason") or last(documents, "stop_reason")
    return Expected(
        model=message.get("model"),
        id=message.get("id"),
        input_tokens=plus(usage.get("input_tokens"), read, written) if usage else None,
        output_tokens=usage.get("output_tokens"),
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=(usage.get("output_tokens_details") or {}).get("thinking_tokens"),
        finish_reasons=(reason,) if reason else (),
    )


def _gemini(documents: list[Json], headers: dict[str, str]) -> Expected:
    """https://ai.google.dev/api/generate-content#UsageMetadata: counts are of the whole answer so far; the
    total is prompt, tool prompt, candidates and thoughts; what is 0 is left out."""
    usage = last(documents, "usageMetadata") or {}
    given = plus(usage.get("promptTokenCount"), usage.get("toolUsePromptTokenCount"))
    made = plus(usage.get("candidatesTokenCount"), usage.get("thoughtsTokenCount"))
    if made is None and "totalTokenCount" in usage and given is not None:
        made = usage["totalTokenCount"] - given
    blocked = last(documents, "promptFeedback.blockReason")
    # Some of Google's clients ask for enums as numbers: google.cloud.aiplatform.v1 Candidate.FinishReason.
    reasons = tuple({1: "STOP"}.get(r, r) for r in _choices(documents, "candidates", "finishReason"))
    return Expected(
        model=last(documents, "modelVersion"),
        id=last(documents, "responseId"),
        input_tokens=given,
        output_tokens=made,
        cache_read_tokens=usage.get("cachedContentTokenCount"),
        reasoning_tokens=usage.get("thoughtsTokenCount"),
        finish_reasons=reasons or ((blocked,) if blocked else ()),
    )


def _interactions(documents: list[Json], headers: dict[str, str]) -> Expected:
    """https://ai.google.dev/api/interactions-api. `completed` is written as `stop`."""
    held = [document["interaction"] for document in documents if "interaction" in document] or documents
    usage = last(held, "usage") or {}
    status = last(held, "status")
    return Expected(
        model=last(held, "model") or last(held, "agent"),
        id=last(held, "id"),
        input_tokens=plus(usage.get("total_input_tokens"), usage.get("total_tool_use_tokens")),
        output_tokens=plus(usage.get("total_output_tokens"), usage.get("total_thought_tokens")),
        cache_read_tokens=usage.get("total_cached_tokens"),
        reasoning_tokens=usage.get("total_thought_tokens"),
        finish_reasons=() if status == "in_progress" else ("stop" if status == "completed" else status,),
    )


def _ollama(documents: list[Json], headers: dict[str, str]) -> Expected:
    """https://github.com/ollama/ollama/blob/main/docs/api.md."""
    reason = last(documents, "done_reason")
    return Expected(
        model=last(documents, "model"),
        input_tokens=last(documents, "prompt_eval_count"),
        output_tokens=last(documents, "eval_count"),
        finish_reasons=(reason,) if reason else (),
    )


def _cohere(documents: list[Json], headers: dict[str, str]) -> Expected:
    """https://docs.cohere.com/reference/chat: `tokens` is what the model saw, `billed_units` what is paid."""
    end = last(documents, "response") or last(documents, "delta") or documents[-1]
    usage = end.get("usage") or end.get("meta") or {}
    tokens = usage.get("tokens") or usage.get("billed_units") or {}
    reason = last(documents, "delta.finish_reason") or last(documents, "finish_reason")
    return Expected(
        id=end.get("response_id") or last(documents, "id") or last(documents, "generation_id"),
        input_tokens=tokens.get("input_tokens"),
        output_tokens=tokens.get("output_tokens"),
        cache_read_tokens=usage.get("cached_tokens"),
        finish_reasons=(reason,) if reason else _choices(documents, "generations", "finish_reason"),
    )


def _bedrock(documents: list[Json], headers: dict[str, str]) -> Expected:
    """https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html, and each maker's
    "Model parameters" page; counts that a body lacks are in the headers or in the stream's metrics."""
    first = documents[0]
    if first.get("type") in ("message", "message_start"):
        return _anthropic(documents, headers)
    metrics = last(documents, "amazon-bedrock-invocationMetrics") or {}
    usage = last(documents, "usage") or last(documents, "metadata.usage") or {}
    reads = [usage.get("cacheReadInputTokens", usage.get("cacheReadInputTokenCount"))]
    writes = [usage.get("cacheWriteInputTokens", usage.get("cacheWriteInputTokenCount"))]
    header = {key: int(value) for key, value in headers.items() if "token-count" in key}
    given = [
        usage.get("inputTokens"),
        metrics.get("inputTokenCount"),
        header.get("x-amzn-bedrock-input-token-count"),
    ]
    made = [
        usage.get("outputTokens"),
        metrics.get("outputTokenCount"),
        header.get("x-amzn-bedrock-output-token-count"),
    ]
    reasons = [last(documents, path) for path in _BEDROCK_REASONS]
    reasons += [entry.get(key) for name, key in _BEDROCK_LISTS for entry in first.get(name, [])]
    return Expected(
        id=first.get("id"),
        input_tokens=plus(next((n for n in given if n is not None), None), reads[0], writes[0]),
        output_tokens=next((n for n in made if n is not None), None),
        cache_read_tokens=reads[0],
        cache_write_tokens=writes[0],
        finish_reasons=tuple(reason for reason in reasons if reason),
    )


_BEDROCK_REASONS = ("stopReason", "messageStop.stopReason", "stop_reason", "completionReason")
_BEDROCK_LISTS = (
    ("results", "completionReason"),
    ("outputs", "stop_reason"),
    ("generations", "finish_reason"),
)


def _openai_error(documents: list[Json], headers: dict[str, str]) -> str | None:
    error = last(documents, "error")
    if isinstance(error, dict):
        return error.get("type") or (str(error["code"]) if error.get("code") else "error")
    return "error" if error else None


def _error_id(reader: str, documents: list[Json]) -> str | None:
    return last(documents, "id") if reader == "cohere" else None


_READERS: dict[str, Callable[[list[Json], dict[str, str]], Expected]] = {
    "openai": _openai,
    "responses": _responses,
    "runs": _responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "interactions": _interactions,
    "ollama": _ollama,
    "cohere": _cohere,
    "bedrock": _bedrock,
}
_ERRORS: dict[str, Callable[[list[Json], dict[str, str]], str | None]] = {
    "openai": _openai_error,
    "responses": _openai_error,
    "runs": _openai_error,
    "anthropic": lambda documents, headers: documents[0]["error"]["type"],
    "gemini": lambda documents, headers: documents[0]["error"]["status"],
    "interactions": _openai_error,
    "ollama": lambda documents, headers: "error",
    "cohere": lambda documents, headers: "error",
    "bedrock": lambda documents, headers: headers["x-amzn-errortype"].split(":")[0],
}
