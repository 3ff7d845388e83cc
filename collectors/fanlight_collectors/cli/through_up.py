"""Reads through a running `fanlight up`, which holds the data folder open (one process may)."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from fanlight_collectors.cli.errors import CommandError, unusable
from fanlight_collectors.config import UpConfig, sql_token_from_environment
from fanlight_schema.store import QueryError, StoreUnavailable

LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
PROBE_TIMEOUT_S = 2.0  # a busy up takes a moment to answer; a closed port is refused at once
QUERY_TIMEOUT_S = 90.0  # more than the time that up gives a statement


def answers(url: str) -> bool:
    """Whether a fanlight up answers at this address."""
    return health(url) is not None


def open_up(url: str) -> "UpReader":
    """A reader through the up at this address; CommandError if there is none or its token cannot be read."""
    found = health(url)
    if found is None:
        raise unusable(f"no fanlight up answers at {url}; start it, or name another store with --store")
    return UpReader(url, _token(url, found))


class UpReader:
    """Asks a running up over HTTP."""

    def __init__(self, url: str, token: str) -> None:
        self.shown = url
        self.token = token
        headers = {"authorization": f"Bearer {token}"}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=QUERY_TIMEOUT_S, trust_env=False)

    def query_bytes(self, sql: str, output_format: str) -> bytes:
        try:
            answer = self._client.post("/v1/sql", json={"query": sql, "format": output_format})
        except httpx.HTTPError as error:
            raise StoreUnavailable(f"the up at {self.shown} did not answer: {error}") from error
        if answer.is_success:
            return answer.content
        raise _refusal(self.shown, answer)

    def close(self) -> None:
        self._client.close()


def health(url: str) -> Mapping[str, object] | None:
    """What the up at this address says of itself, None where there is none."""
    try:
        answer = httpx.get(f"{url.rstrip('/')}/healthz", timeout=PROBE_TIMEOUT_S, trust_env=False)
        body = answer.json() if answer.is_success else None
    except (httpx.HTTPError, ValueError):
        return None
    return body if isinstance(body, dict) and body.get("status") == "ok" else None


def _refusal(url: str, answer: httpx.Response) -> Exception:
    try:
        details = answer.json()["error"]
        message, kind, code = str(details["message"]), details.get("kind"), details.get("code")
    except (ValueError, KeyError, TypeError):
        return CommandError(f"the up at {url} answered {answer.status_code}; is it a fanlight up?")
    if kind == "access":
        return unusable(f"the up at {url} refused: {message}")
    if kind == "refused":
        return CommandError(f"this statement is not run: {message}")
    return QueryError(message, code) if answer.status_code == 400 else StoreUnavailable(message)


def _token(url: str, found: Mapping[str, object]) -> str:
    """The token of that up: here from its file, else FANLIGHT_SQL_TOKEN; elsewhere the other way round."""
    folder = found.get("data_folder")
    path = Path(str(folder)) / "sql-token" if folder else _state_path(url)
    given = sql_token_from_environment()
    if given and urlsplit(url).hostname not in LOCAL_NAMES:
        return given
    try:
        return path.read_text().strip()
    except OSError as error:
        if given:
            return given
        raise unusable(
            f"SQL through the up at {url} needs the token in {path}, which cannot be read "
            f"({error.strerror}); run this as the same user on the same machine, or set FANLIGHT_SQL_TOKEN"
        ) from error


def _state_path(url: str) -> Path:
    return UpConfig(store="clickhouse://", listen=f"127.0.0.1:{urlsplit(url).port or 80}").sql_token_path
