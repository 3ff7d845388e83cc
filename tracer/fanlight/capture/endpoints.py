"""Which HTTP requests ask a model for something, told by path and body shape and never by host.

    endpoint_of("POST", "/v1/chat/completions").operation == "chat"
    endpoint_of("POST", "/openai/deployments/gpt-4o/chat/completions").operation == "chat"
    endpoint_of("GET", "/v1/models") is None

A path alone does not prove it: `/responses` of somebody's survey service is none. `Endpoint.fits` looks at
the body of a request that did not come through a model SDK.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

StreamShape = Literal["chat", "completions", "responses"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One kind of inference endpoint: its operation name, and what its request body has."""

    operation: str  # gen_ai.operation.name
    path: str  # the end of the path
    body_keys: frozenset[str]  # one of them is in every body of this kind; empty where it is not JSON
    shape: StreamShape = "chat"

    def fits(self, body: Mapping[str, object]) -> bool:
        """True if a JSON body looks like a request to this endpoint."""
        return not self.body_keys.isdisjoint(body)


def _endpoint(operation: str, path: str, *body_keys: str, shape: StreamShape = "chat") -> Endpoint:
    return Endpoint(operation, path, frozenset(body_keys), shape)


# The wire API of OpenAI and of the servers that speak it (vLLM, SGLang, llama.cpp, LiteLLM, OpenRouter, ...):
# https://platform.openai.com/docs/api-reference. Not here, since no model runs: /models, /files, /batches,
# /responses/{id} (a poll), /responses/{id}/cancel, /responses/input_tokens, /tokenize.
ENDPOINTS = (
    _endpoint("chat", "/chat/completions", "messages"),
    _endpoint("text_completion", "/completions", "prompt", shape="completions"),
    _endpoint(
        "chat",
        "/responses",
        "input",
        "prompt",
        "previous_response_id",
        "conversation",
        shape="responses",
    ),
    _endpoint("chat", "/responses/compact", "input", "previous_response_id", shape="responses"),
    _endpoint("embeddings", "/embeddings", "input"),
    _endpoint("moderation", "/moderations", "input"),
    _endpoint("rerank", "/rerank", "documents"),
    _endpoint("image_generation", "/images/generations", "prompt"),
    _endpoint("image_generation", "/images/edits"),
    _endpoint("image_generation", "/images/variations"),
    _endpoint("speech", "/audio/speech", "input"),
    _endpoint("transcription", "/audio/transcriptions"),
    _endpoint("transcription", "/audio/translations"),
)

_BY_LAST_TWO: dict[str, Endpoint] = {e.path: e for e in ENDPOINTS if e.path.count("/") == 2}
_BY_LAST: dict[str, Endpoint] = {e.path: e for e in ENDPOINTS if e.path.count("/") == 1}


def endpoint_of(method: str, path: str) -> Endpoint | None:
    """The inference endpoint that a request is for, or None; a query or a trailing slash does not matter."""
    return _endpoint_at(path) if method == "POST" or method.upper() == "POST" else None


@functools.lru_cache(maxsize=256)
def _endpoint_at(path: str) -> Endpoint | None:
    path = path.partition("?")[0].rstrip("/")
    head, _, last = path.rpartition("/")
    second = head.rpartition("/")[2]
    return _BY_LAST_TWO.get(f"/{second}/{last}") or _BY_LAST.get(f"/{last}")


# gen_ai.provider.name of hosts that speak OpenAI's wire format
# (https://github.com/open-telemetry/semantic-conventions-genai, registry of gen_ai.provider.name).
_PROVIDER_BY_HOST_END = (
    ("openai.azure.com", "azure.ai.openai"),
    ("services.ai.azure.com", "azure.ai.inference"),
    ("models.ai.azure.com", "azure.ai.inference"),
    ("cognitiveservices.azure.com", "azure.ai.openai"),
    ("groq.com", "groq"),
    ("deepseek.com", "deepseek"),
    ("mistral.ai", "mistral_ai"),
    ("x.ai", "x_ai"),
    ("perplexity.ai", "perplexity"),
    ("anthropic.com", "anthropic"),
    ("cohere.com", "cohere"),
    ("cohere.ai", "cohere"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("amazonaws.com", "aws.bedrock"),
    ("openrouter.ai", "openrouter"),
)


@functools.lru_cache(maxsize=256)
def provider_of(host: str) -> str:
    """The provider behind a host; "openai", the flavour of the wire format, where the host tells nothing."""
    for end, provider in _PROVIDER_BY_HOST_END:
        if host.endswith(end) and (len(host) == len(end) or host[-len(end) - 1] == "."):
            return provider
    return "openai"


def deployment_in(path: str) -> str | None:
    """The deployment named in an Azure path (`/openai/deployments/NAME/chat/completions`), or None."""
    _, found, rest = path.partition("/deployments/")
    return rest.partition("/")[0] or None if found else None
