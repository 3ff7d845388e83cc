"""Who may speak to this server: names in Host and Origin, and bearer tokens.

A page in a browser can make it send requests to a loopback address, under a foreign name if DNS says so.
Hence Host must be a name of this server, Origin, if there is one, the server itself, and no CORS header is
ever sent.
"""

import hmac
import ipaddress
import os
import secrets
import socket
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

_LOOPBACK_NAMES: Final = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})


def is_loopback(host: str) -> bool:
    """Whether an address or name reaches this machine alone."""
    if host.lower().rstrip(".") in _LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_own_host(connection: HTTPConnection, own_names: frozenset[str]) -> bool:
    """Whether Host and, where there is one, Origin name this server."""
    host = connection.headers.get("host", "")
    if not _is_own_name(_hostname(f"//{host}"), connection, own_names):
        return False
    origin = connection.headers.get("origin")
    return origin is None or origin.lower() == f"{connection.url.scheme}://{host}".lower()


def _hostname(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_own_name(name: str, connection: HTTPConnection, own_names: frozenset[str]) -> bool:
    if is_loopback(name):
        return True
    local_address = (connection.scope.get("server") or ("",))[0]
    return bool(name) and (name == local_address or name in own_names)


def own_names(listen_host: str) -> frozenset[str]:
    """Names that a client on the network may call this machine by."""
    hostname = socket.gethostname().lower()
    return frozenset({listen_host.lower().strip("[]"), hostname, f"{hostname}.local"} - {"", "0.0.0.0", "::"})


def has_token(connection: HTTPConnection, token: str) -> bool:
    """Whether the request carries `Authorization: Bearer <token>`; as slow for every wrong one."""
    scheme, _, given = connection.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())


def write_sql_token(path: Path) -> str:
    """Makes a new token and writes it to `path` for this user alone; raises OSError."""
    token = secrets.token_urlsafe(32)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(token + "\n")
    fresh.replace(path)
    return token
