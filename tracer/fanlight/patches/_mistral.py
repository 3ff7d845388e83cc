"""mistralai: `BaseSDK.do_request` sends the request that a method has built, again if it was told to."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from fanlight.capture.endpoints import endpoint_of
from fanlight.patches._hooks import Hook
from fanlight.patches._operations import Operation, watch

MODULES = ("mistralai.basesdk", "mistralai.client.basesdk")  # 1.x; since 2.0
CLIENTS = frozenset((("mistralai.sdk", "Mistral"), ("mistralai.client.sdk", "Mistral")))
_METHODS = ("do_request", "do_request_async")
# The parts of a client that ask models; each sends for itself.
_PARTS = ("chat", "agents", "fim", "embeddings", "classifiers", "ocr")


def patch_module(module: ModuleType) -> list[Hook]:
    """Watch every client."""
    return [watch(module.BaseSDK, name, _read) for name in _METHODS]


def watch_client(client: Any) -> list[Hook]:
    """Watch one client."""
    return [watch(getattr(client, part), name, _read) for part in _PARTS for name in _METHODS]


def http_clients(client: Any) -> list[Any]:
    """What it sends with."""
    configuration = client.sdk_configuration
    return [made for made in (configuration.client, configuration.async_client) if made is not None]


def _read(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Operation | None:
    """`do_request(hook_ctx, request, ...)` with a request of httpx."""
    request = kwargs.get("request") or next(given for given in args if hasattr(given, "url"))
    path = request.url.path
    endpoint = endpoint_of(request.method, path)
    if endpoint is None:
        return None
    return Operation(endpoint, path, getattr(request, "_content", None), made_of=request)
