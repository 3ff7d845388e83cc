"""Reads a store's address into a target; passwords stay out of every text that a person sees.

>>> parse_url("clickhouse://ann:secret@db.example/prod").shown
'clickhouse://ann:***@db.example:8123/prod'
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

from .errors import StoreError

DEFAULT_DATABASE = "fanlight"
HTTP_PORT = 8123  # ClickHouse's http_port
HTTPS_PORT = 8443  # ClickHouse's https_port
FORMS = "chdb:///absolute/folder, clickhouse://user:password@host:8123/database or clickhouses://... (TLS)"


@dataclass(frozen=True, slots=True)
class EmbeddedTarget:
    """A data folder that the engine opens in this process."""

    folder: Path
    database: str = DEFAULT_DATABASE

    @property
    def shown(self) -> str:
        return f"chdb://{self.folder}"


@dataclass(frozen=True, slots=True)
class ServerTarget:
    """A ClickHouse server's HTTP interface."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    secure: bool

    @property
    def shown(self) -> str:
        scheme = "clickhouses" if self.secure else "clickhouse"
        secret = ":***" if self.password else ""
        login = "" if self.user == "default" and not secret else f"{self.user}{secret}@"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{login}{host}:{self.port}/{self.database}"


Target: TypeAlias = EmbeddedTarget | ServerTarget


def parse_url(url: str) -> Target:
    """The target that a store URL names; StoreError lists the forms if it is none of them."""
    parts = urlsplit(url)
    if parts.scheme == "chdb":
        return _embedded(parts)
    if parts.scheme in ("clickhouse", "clickhouses"):
        return _server(parts)
    raise StoreError(f"{parts.scheme or 'a path'}: is no store that can be opened here; give {FORMS}")


def _embedded(parts: SplitResult) -> EmbeddedTarget:
    if parts.netloc or not parts.path.startswith("/"):
        raise StoreError(
            "chdb: needs an absolute folder with three slashes, for example chdb:///var/lib/fanlight"
        )
    if parts.query:
        raise StoreError("chdb: takes no options after '?'")
    return EmbeddedTarget(Path(unquote(parts.path)))


def _server(parts: SplitResult) -> ServerTarget:
    secure = parts.scheme == "clickhouses"
    try:
        port = parts.port or (HTTPS_PORT if secure else HTTP_PORT)
    except ValueError as exc:
        raise StoreError(f"{parts.scheme}: the port is not a number from 1 to 65535") from exc
    if not parts.hostname:
        raise StoreError(f"{parts.scheme}: the host is missing; give {FORMS}")
    database = unquote(parts.path.strip("/")) or DEFAULT_DATABASE
    if "/" in database or parts.query:
        raise StoreError(
            f"{parts.scheme}: only a database name can follow the host, for example /{DEFAULT_DATABASE}"
        )
    return ServerTarget(
        host=parts.hostname,
        port=port,
        user=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        database=database,
        secure=secure,
    )
