"""ollama: no method tries again, so each is the one request that is seen at the wire."""

from __future__ import annotations

from typing import Any

from fanlight.patches._hooks import Hook

CLIENTS = frozenset((("ollama._client", "BaseClient"),))


def watch_client(client: Any) -> list[Hook]:
    """Nothing is to be watched but what it sends with."""
    return []


def http_clients(client: Any) -> list[Any]:
    """What it sends with."""
    return [client._client]
