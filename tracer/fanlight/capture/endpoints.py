"""Which HTTP requests ask a model for something, told by path and body shape and never by host.

    endpoint_of("POST", "/v1/chat/completions").operation == "chat"
    endpoint_of("POST", "/openai/deployments/gpt-4o/chat/completions").operation == "chat"
    endpoint_of("POST", "/v1beta/models/gemini-2.5-flash:generateContent").operation == "generate_content"
    endpoint_of("GET", "/v1/models") is None

A path alone does not prove it: `/responses` of somebody's survey service is none. `Endpoint.fits` looks at
the body of a request that did not come through a model SDK.
"""

from __future__ import annotations

import functools

from fanlight.capture.formats import (
    anthropic,
    bedrock,
    cohere,
    dashscope,
    engines,
    gemini,
    mistral,
    ollama,
    openai,
    replicate,
    watsonx,
    workers_ai,
)
from fanlight.capture.wire_format import Endpoint, path_pattern, plain_path

ENDPOINTS: tuple[Endpoint, ...] = (
    *openai.ENDPOINTS,
    *anthropic.ENDPOINTS,
    *gemini.ENDPOINTS,
    *mistral.ENDPOINTS,
    *cohere.ENDPOINTS,
    *bedrock.ENDPOINTS,
    *ollama.ENDPOINTS,
    *engines.ENDPOINTS,
    *watsonx.ENDPOINTS,
    *replicate.ENDPOINTS,
    *dashscope.ENDPOINTS,
    *workers_ai.ENDPOINTS,
)


def _last_word(path: str) -> str:
    """What follows the last slash or colon of a path."""
    return path.rpartition("/")[2].rpartition(":")[2]


def _by_last_word() -> dict[str, list[Endpoint]]:
    """Endpoints by the last word of their path, "" if that is any; those with the longer path first."""
    found: dict[str, list[Endpoint]] = {}
    for endpoint in sorted(ENDPOINTS, key=lambda endpoint: -endpoint.path.count("/")):
        last = _last_word(endpoint.path)
        found.setdefault("" if last.endswith(("}", "*")) else last, []).append(endpoint)
    return found


_BY_LAST_WORD = _by_last_word()


def endpoint_of(method: str, path: str) -> Endpoint | None:
    """The inference endpoint that a request is for, or None; a query or a trailing slash does not matter.

    It is the same object for every path that leads to it.
    """
    return endpoint_at(path) if method == "POST" or method.upper() == "POST" else None


@functools.lru_cache(maxsize=256)
def endpoint_at(path: str) -> Endpoint | None:
    """The same for a POST."""
    path = plain_path(path)
    for endpoint in _BY_LAST_WORD.get(_last_word(path), []) + _BY_LAST_WORD[""]:
        if path_pattern(endpoint.path).search(path):
            return endpoint
    return None
