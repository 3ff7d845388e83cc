"""SDKs made by Stainless: openai, anthropic, groq.

`SyncAPIClient.request` and `AsyncAPIClient.request` of the SDK's `_base_client` take the options of any
resource method (`chat.completions.create`, `.parse`, `responses.stream`, `client.post`, raw and streaming
responses) and do the retries.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from fanlight._runtime import runtime
from fanlight.capture.endpoints import endpoint_at, endpoint_of
from fanlight.patches._hooks import Hook
from fanlight.patches._include_usage import ask_for_usage, options_among
from fanlight.patches._operations import Operation, watch, watch_class

MODULES = ("openai", "anthropic", "groq")
CLIENT_OF_OPENAI = "openai._base_client"
CLIENTS = frozenset(
    (f"{name}._base_client", kind) for name in MODULES for kind in ("SyncAPIClient", "AsyncAPIClient")
)


def patch_module(module: ModuleType) -> list[Hook]:
    """Watch every client of an SDK."""
    base = module._base_client
    kinds = (base.SyncAPIClient, base.AsyncAPIClient)
    hooks = [hook for kind in kinds for hook in watch_class(kind, "request", _read)]
    if runtime.include_usage and module.__name__ == "openai":
        hooks += [hook for kind in kinds for hook in ask_for_usage(kind)]
    return hooks


def watch_client(client: Any) -> list[Hook]:
    """Watch one client."""
    hooks = [watch(client, "request", _read)]
    asks = runtime.include_usage and any(kind.__module__ == CLIENT_OF_OPENAI for kind in type(client).__mro__)
    return [*ask_for_usage(client), *hooks] if asks else hooks  # the outermost first


def http_clients(client: Any) -> list[Any]:
    """What it sends with."""
    return [client._client]


def _read(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Operation | None:
    options = args[-1] if not kwargs and hasattr(args[-1], "json_data") else options_among(args, kwargs)
    # Their resources write the method in lower case.
    url = options.url
    endpoint = endpoint_at(url) if options.method == "post" else endpoint_of(options.method, url)
    if endpoint is None:
        return None
    body = options.json_data
    if options.extra_json:
        body = {**body, **options.extra_json} if isinstance(body, dict) else options.extra_json
    return Operation(endpoint, url, body, options)
