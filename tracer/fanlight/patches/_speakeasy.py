"""SDKs made by Speakeasy: mistralai, and the interactions of google-genai 3.

`BaseSDK.do_request` sends the request that a method has built, again if it was told to. Mistral's clients of
Azure and Google Cloud are distributions of their own before 2.0, parts of it since. That of Google Cloud
writes the path of Vertex into the request only when it sends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from fanlight.capture.endpoints import endpoint_of
from fanlight.patches._hooks import Hook
from fanlight.patches._operations import Operation, watch

MODULES = tuple(
    f"{package}.basesdk"
    for package in (
        *("mistralai", "mistralai_azure", "mistralai_gcp"),  # 1.x
        *("mistralai.client", "mistralai.azure.client", "mistralai.gcp.client"),  # since 2.0
        "google.genai._gaos",
    )
)
CLIENTS = frozenset(
    (
        ("mistralai.sdk", "Mistral"),
        ("mistralai_azure.sdk", "MistralAzure"),
        ("mistralai_gcp.sdk", "MistralGoogleCloud"),
        ("mistralai.client.sdk", "Mistral"),
        ("mistralai.azure.client.sdk", "MistralAzure"),
        ("mistralai.gcp.client.sdk", "MistralGCP"),
    )
)
_METHODS = ("do_request", "do_request_async")
# The parts of a client of Mistral that ask models; each sends for itself.
# Not those of `beta` and `audio`: to ask for them imports what the app may never use (griffe, MCP).
_PARTS = ("chat", "agents", "fim", "embeddings", "classifiers", "ocr")


def patch_module(module: ModuleType) -> list[Hook]:
    """Watch every client."""
    owners = [module.BaseSDK]
    if hasattr(module, "AsyncBaseSDK"):  # Google's
        owners.append(module.AsyncBaseSDK)
    return [watch(owner, name, _read) for owner in owners for name in _METHODS if hasattr(owner, name)]


def watch_client(client: Any) -> list[Hook]:
    """Watch one client."""
    parts = [getattr(client, name, None) for name in _PARTS]
    return [watch(part, name, _read) for part in parts if part is not None for name in _METHODS]


def http_clients(client: Any) -> list[Any]:
    """What it sends with."""
    configuration = client.sdk_configuration
    return [made for made in (configuration.client, configuration.async_client) if made is not None]


def _read(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Operation | None:
    """`do_request(hook_ctx, request, ...)` with a request of httpx."""
    request = kwargs.get("request") or next(given for given in args if hasattr(given, "url"))
    path = request.url.path
    if path in ("/rawPredict", "/streamRawPredict"):
        path = f"/publishers/mistralai/models/-:{path[1:]}"
    endpoint = endpoint_of(request.method, path)
    if endpoint is None:
        return None
    return Operation(endpoint, path, getattr(request, "_content", None), made_of=request)
