"""Reads through a running `fanlight up`, which holds the data folder open (one process may)."""

from pathlib import Path

import httpx

from fanlight_collectors.cli.errors import unusable

ANSWER_TIMEOUT_S = 1.0
QUERY_TIMEOUT_S = 120.0


def answers(url: str) -> bool:
    """Whether a fanlight up answers at this address."""
    return _health(url) is not None


def open_up(url: str) -> "UpReader":
    """A reader through the up at this address; CommandError if there is none or its token cannot be read."""
    health = _health(url)
    if health is None:
        raise unusable(f"no fanlight up answers at {url}; start it, or name another store with --store")
    return UpReader(url, _token(url, health))


class UpReader:
    """Asks a running up over HTTP."""

    def __init__(self, url: str, token: str) -> None:
        self.shown = url
        headers = {"authorization": f"Bearer {token}"}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=QUERY_TIMEOUT_S, trust_env=False)

    def query_bytes(self, sql: str, output_format: str) -> bytes:
        answer = self._client.post("/v1/sql", json={"sql": sql, "format": output_format})
        return answer.content

    def close(self) -> None:
        self._client.close()


def _health(url: str) -> dict[str, object] | None:
    try:
        answer = httpx.get(f"{url.rstrip('/')}/health", timeout=ANSWER_TIMEOUT_S, trust_env=False)
        body = answer.json() if answer.is_success else None
    except (httpx.HTTPError, ValueError):
        return None
    return body if isinstance(body, dict) else None


def _token(url: str, health: dict[str, object]) -> str:
    path = Path(str(health.get("data_folder", ""))) / "sql-token"
    try:
        return path.read_text().strip()
    except OSError as error:
        raise unusable(f"the token of the up at {url} is in {path}, which cannot be read: {error}") from error
