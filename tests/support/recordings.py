"""Recorded exchanges with real providers (`shared/data/cassettes-*`, `fixtures-vercel-ai`), as they were on
the wire: request, status, headers and the body with its content encoding undone.

    for exchange in recorded_exchanges(): exchange.path, exchange.sent, exchange.body

The folder is FANLIGHT_TEST_DATA, else `../shared/data` beside the repository; `data_folder()` is None where
neither is there.
"""

import gzip
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import brotli
import yaml

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Exchange:
    """One request and its answer."""

    name: str  # file and position in it
    method: str
    host: str
    path: str  # without the query
    sent: bytes
    status: int
    headers: dict[str, str] = field(repr=False)  # of the answer, names in lower case
    body: bytes = field(repr=False)
    api: str = "other"  # as cassette_index.jsonl has it
    provider: str = ""  # where no host tells

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").lower()


def data_folder() -> Path | None:
    """Where the recordings are, or None."""
    folder = Path(os.environ.get("FANLIGHT_TEST_DATA") or ROOT.parent / "shared" / "data")
    return folder if (folder / "cassette_index.jsonl").is_file() else None


def recorded_exchanges(folder: Path) -> Iterator[Exchange]:
    """Every exchange that cassette_index.jsonl lists."""
    index = [json.loads(line) for line in (folder / "cassette_index.jsonl").read_text().splitlines()]
    by_file: dict[str, list[dict[str, Any]]] = {}
    for row in index:
        by_file.setdefault(row["file"], []).append(row)
    for file, rows in by_file.items():
        with (folder / file).open("rb") as opened:
            interactions = yaml.load(opened, getattr(yaml, "CSafeLoader", yaml.SafeLoader))["interactions"]
        for row in rows:
            yield _exchange(f"{file}[{row['i']}]", interactions[row["i"]], row["api"])


def _exchange(name: str, interaction: dict[str, Any], api: str) -> Exchange:
    request, response = interaction["request"], interaction["response"]
    url = urlsplit(request["uri"])
    headers = {key.lower(): value for key, value in (response.get("headers") or {}).items()}
    plain = {key: value if isinstance(value, str) else value[0] for key, value in headers.items() if value}
    encoding = plain.get("content-encoding", "")
    return Exchange(
        name,
        request["method"],
        url.hostname or "",
        url.path,
        _plain(request),
        response["status"]["code"],
        plain,
        _inflated(_plain(response), encoding),
        api,
    )


def _plain(message: dict[str, Any]) -> bytes:
    """A body as bytes: recorders keep it as text, as bytes, or decoded from JSON."""
    body = message.get("body")
    if isinstance(body, dict) and set(body) == {"string"}:
        body = body["string"]
    if body is None and "parsed_body" in message:
        body = message["parsed_body"]
    if body is None:
        return b""
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def _inflated(body: bytes, encoding: str) -> bytes:
    """The body as a client sees it: some recorders keep the content encoding, whatever the headers say."""
    if body[:2] == b"\x1f\x8b":
        return gzip.decompress(body)
    return brotli.decompress(body) if encoding == "br" and body[:1] not in b"{[<" else body


# Where the API of each folder of fixtures-vercel-ai answers; a file whose answer is of another kind tells by
# its content. Left out: what is no HTTP answer of a model.
_VERCEL_PATHS = {
    "anthropic": "/v1/messages",
    "google/src/interactions": "/v1beta/interactions",
    "google": "/v1beta/models/gemini:generateContent",
    "cohere/src/reranking": "/v2/rerank",
    "cohere": "/v2/chat",
    "openai/src/responses": "/v1/responses",
    "openai/src/image": "/v1/images/generations",
    "open-responses": "/v1/responses",
    "azure": "/openai/v1/responses",
}
_NO_ANSWERS = (
    "/skills/",
    "speech-translation",  # of a websocket
    "transcription",  # no JSON answer
    "parallel-tool-call-wrapper.1.chunks.txt",  # broken: two of its lines lack a bracket
)


def vercel_fixtures(folder: Path) -> Iterator[Exchange]:
    """The answers in fixtures-vercel-ai, whose streams are kept as one event a line."""
    root = folder / "fixtures-vercel-ai"
    for file in sorted(root.rglob("__fixtures__/*")):
        name = file.relative_to(root).as_posix()
        if any(part in name for part in _NO_ANSWERS):
            continue
        body = file.read_bytes()
        path = next(
            (path for start, path in _VERCEL_PATHS.items() if name.startswith(start)), "/chat/completions"
        )
        streamed = file.suffix == ".txt"
        if b'"choices"' in body:
            path = "/v1/chat/completions"
        if "embedding" in name:
            path = "/v2/embed" if name.startswith("cohere") else "/v1/embeddings"
        if streamed:
            path = path.replace(":generate", ":streamGenerate").replace("GenerateContent", "GenerateContent")
            body = b"".join(b"data: " + line + b"\n\n" for line in body.splitlines() if line)
        yield Exchange(
            f"fixtures-vercel-ai/{name}",
            "POST",
            "",
            path,
            b"",
            400 if re.search(r"error|429", name) and b'"error": {' in body[:20] else 200,
            {"content-type": "text/event-stream" if streamed else "application/json"},
            body,
            provider=f"vercel-ai/{name.partition('/')[0]}",
        )
