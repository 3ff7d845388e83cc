"""cohere: `HttpClient.request` calls itself with the same arguments to try again; streams have one try."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from fanlight.capture.endpoints import endpoint_of
from fanlight.patches._hooks import Hook
from fanlight.patches._operations import Operation, watch

MODULES = ("cohere.core.http_client",)
CLIENTS = frozenset((("cohere.client", "Client"), ("cohere.client", "AsyncClient")))  # and their V2 forms


def patch_module(module: ModuleType) -> list[Hook]:
    """Watch every client."""
    return [watch(owner, "request", _read) for owner in (module.HttpClient, module.AsyncHttpClient)]


def watch_client(client: Any) -> list[Hook]:
    """Watch one client."""
    return [watch(client._client_wrapper.httpx_client, "request", _read)]


def http_clients(client: Any) -> list[Any]:
    """What it sends with."""
    return [client._client_wrapper.httpx_client.httpx_client]


def _read(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Operation | None:
    """`request(path, method=..., json=...)`, where the same `json` comes again with every try."""
    path = kwargs["path"] if "path" in kwargs else args[-1]
    body = kwargs.get("json")
    endpoint = endpoint_of(kwargs["method"], f"/{path}") if isinstance(path, str) else None
    return None if endpoint is None or body is None else Operation(endpoint, path, body, made_of=body)
