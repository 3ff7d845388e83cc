"""google-genai: `BaseApiClient._request` sends what every method asks for, and sends it again (tenacity)."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from fanlight.capture.endpoints import endpoint_of
from fanlight.patches import _sessions
from fanlight.patches._hooks import Hook
from fanlight.patches._operations import Operation, watch

MODULES = ("google.genai._api_client",)
CLIENTS = frozenset((("google.genai.client", "Client"),))
_METHODS = ("_request", "_async_request")


def patch_module(module: ModuleType) -> list[Hook]:
    """Watch every client."""
    return [watch(module.BaseApiClient, name, _read) for name in _METHODS]


def watch_client(client: Any) -> list[Hook]:
    """Watch one client; it opens a session of aiohttp for each event loop, when one first asks."""
    api = client._api_client
    below = _sessions.watch_within(api, "_async_request")
    return [*(watch(api, name, _read) for name in _METHODS), below]  # the outermost first


def http_clients(client: Any) -> list[Any]:
    """What it sends with beside aiohttp."""
    api = client._api_client
    return [made for made in (api._httpx_client, api._async_httpx_client) if made is not None]


def _read(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Operation | None:
    """`_request(http_request, http_options, stream)`."""
    request = kwargs.get("http_request") or next(given for given in args if hasattr(given, "url"))
    path = urlsplit(request.url).path
    endpoint = endpoint_of(request.method, path)
    return None if endpoint is None else Operation(endpoint, path, request.data, made_of=request)
