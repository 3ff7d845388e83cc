"""POST /v1/sql: one SELECT, checked by its parse tree, run readonly and within limits.

The body is the statement itself, or JSON: {"query": ..., "format": "json", "parameters": {...}}.
"""

import asyncio
import json
import re
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fanlight_collectors.sqlguard import Guard, Refused
from fanlight_collectors.up.body import BodyTooLarge, UnsupportedEncoding, read_body
from fanlight_schema.sizes import size_text
from fanlight_schema.store import QueryError, Store, StoreError

# ClickHouse's format and its media type. `json` is JSONCompact: columns with types, rows as lists.
FORMATS: Final[Mapping[str, tuple[str, str]]] = {
    "json": ("JSONCompact", "application/json"),
    "csv": ("CSVWithNames", "text/csv; charset=utf-8"),
    "tsv": ("TSVWithNames", "text/tab-separated-values; charset=utf-8"),
    "jsoneachrow": ("JSONEachRow", "application/x-ndjson"),
}
_CLICKHOUSE_FORMATS: Final = {
    "JSON", "JSONCompact", "JSONEachRow", "JSONCompactEachRow", "JSONCompactEachRowWithNamesAndTypes",
    "CSV", "CSVWithNames", "TSV", "TSVWithNames", "TSVWithNamesAndTypes",
    "TabSeparated", "TabSeparatedWithNames",
    "Markdown", "PrettyCompact", "PrettyCompactMonoBlock", "PrettyCompactNoEscapes", "Vertical",
}  # fmt: skip
MAX_BODY_BYTES: Final = 2**20
LIMITS: Final[Mapping[str, object]] = {
    "max_execution_time": 60,  # seconds
    "max_memory_usage": 2 * 2**30,  # bytes
    "max_result_rows": 1_000_000,
    "max_result_bytes": 256 * 2**20,
    "result_overflow_mode": "throw",
    "output_format_json_quote_64bit_integers": 0,
    "output_format_json_quote_denormals": 1,  # NaN and infinities as strings: JSON has no others
    "session_timezone": "UTC",  # of times whose column names no zone
    "readonly": 1,  # last: the embedded engine takes them one by one, and none after this
}
_POSITION: Final = re.compile(r"failed at position (\d+)")


@dataclass(frozen=True, slots=True)
class Question:
    """What a client asks."""

    sql: str
    format: str = "json"
    parameters: Mapping[str, object] | None = None


class BadQuestion(ValueError):
    """The request is no question; the message says what one looks like."""


@dataclass(frozen=True, slots=True)
class SqlEndpoint:
    """Answers questions from one store."""

    store: Store
    guard: Guard
    workers: Executor

    async def answer(self, request: Request) -> Response:
        try:
            question = await read_question(request)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self.workers, self._ask, question)
        except BadQuestion as exc:
            return error(400, str(exc))
        except (BodyTooLarge, UnsupportedEncoding):
            return error(413, f"a statement has at most {size_text(MAX_BODY_BYTES)}, not compressed")

    def _ask(self, question: Question) -> Response:
        format_name, media_type = output_format(question.format)
        try:
            self.guard.check(question.sql, question.parameters)
            body = self.store.query_bytes(question.sql, format_name, dict(LIMITS), question.parameters)
        except Refused as exc:
            return error(400, str(exc), kind="refused")
        except QueryError as exc:
            return error(400, exc.message, exc.code)
        except StoreError as exc:
            return error(503, str(exc))
        return Response(body, media_type=media_type)


async def read_question(request: Request) -> Question:
    """The question in a request; raises BadQuestion, BodyTooLarge."""
    headers = request.headers
    body = await read_body(
        request.stream(),
        headers.get("content-encoding", ""),
        headers.get("content-length"),
        lambda size: None,
        MAX_BODY_BYTES,
    )
    try:
        text = body.decode()
    except UnicodeDecodeError as exc:
        raise BadQuestion("the statement is not UTF-8") from exc
    wanted = request.query_params.get("format", "json")
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return Question(text, wanted)
    return _from_json(text, wanted)


def _from_json(text: str, wanted: str) -> Question:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise BadQuestion(f"the body is not JSON: {exc}") from exc
    if not isinstance(fields, dict) or not isinstance(fields.get("query"), str):
        raise BadQuestion('the body is not {"query": "SELECT ...", "format": "json", "parameters": {}}')
    parameters = fields.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise BadQuestion("parameters is not an object of names and values")
    return Question(fields["query"], str(fields.get("format") or wanted), parameters or None)


def output_format(name: str) -> tuple[str, str]:
    """ClickHouse's format and the media type for a format that a client names; raises BadQuestion."""
    if name.lower() in FORMATS:
        return FORMATS[name.lower()]
    if name in _CLICKHOUSE_FORMATS:
        return name, "application/json" if name in ("JSON", "JSONCompact") else "text/plain; charset=utf-8"
    raise BadQuestion(f"the format {name!r} is not known; take one of {', '.join(FORMATS)}")


def error(status: int, message: str, code: int | None = None, kind: str = "query") -> JSONResponse:
    """{"error": {message, code, kind, position}}: ClickHouse's words and code; position counts from 1."""
    found = _POSITION.search(message)
    details = {"message": message, "code": code, "kind": kind, "position": int(found[1]) if found else None}
    return JSONResponse({"error": details}, status)
