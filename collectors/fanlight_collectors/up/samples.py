"""POST /v1/samples/TABLE: what `fanlight scrape` has read, as lines of JSON, into one of its two tables."""

from dataclasses import dataclass
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fanlight_collectors.scrape.rows import TABLES
from fanlight_collectors.up.body import BodyTooLarge, UnsupportedEncoding, read_body
from fanlight_collectors.up.sql import error
from fanlight_schema.sizes import size_text
from fanlight_schema.store import Store, StoreError

MAX_BODY_BYTES: Final = 16 * 2**20


@dataclass(frozen=True, slots=True)
class SampleEndpoint:
    """Writes samples to a store."""

    store: Store

    async def take(self, request: Request) -> Response:
        """200 when they are in the table; a sample that comes again is the same row."""
        table = request.path_params["table"]
        if table not in TABLES:
            return error(404, f"samples go to {' or '.join(TABLES)}", kind="access")
        try:
            body = await read_body(
                request.stream(),
                request.headers.get("content-encoding", ""),
                request.headers.get("content-length"),
                lambda size: None,
                MAX_BODY_BYTES,
            )
        except (BodyTooLarge, UnsupportedEncoding):
            return error(413, f"samples come in at most {size_text(MAX_BODY_BYTES)}, not compressed")
        try:
            await run_in_threadpool(self.store.insert_bytes, table, body, "JSONEachRow")
        except StoreError as exc:
            return error(503, str(exc))
        return JSONResponse({"status": "ok"})
