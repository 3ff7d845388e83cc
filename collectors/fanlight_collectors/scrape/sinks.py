"""Where samples go."""

import json
from collections.abc import Callable, Sequence
from typing import TypeAlias

import httpx

from fanlight_schema.store import Store

from .loop import Batch
from .rows import ENGINES, GPUS, Row

Sink: TypeAlias = Callable[[Batch], None]


class NotTaken(RuntimeError):
    """An `up` did not take samples; the text says why."""


def lines(rows: Sequence[Row]) -> bytes:
    """The rows as ClickHouse's JSONEachRow."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def into_store(store: Store) -> Sink:
    """Writes to a store that is opened here."""

    def write(batch: Batch) -> None:
        for table, rows in ((ENGINES, batch.engines), (GPUS, batch.gpus)):
            if rows:
                store.insert_bytes(table, lines(rows), "JSONEachRow")

    return write


def into_up(url: str, token: str) -> Sink:
    """Sends to a running `fanlight up`, which holds its data folder open."""
    client = httpx.Client(
        base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=30, trust_env=False
    )

    def write(batch: Batch) -> None:
        for table, rows in ((ENGINES, batch.engines), (GPUS, batch.gpus)):
            if rows:
                answer = client.post(f"/v1/samples/{table}", content=lines(rows))
                if not answer.is_success:
                    raise NotTaken(f"the up at {url} answered {answer.status_code}: {answer.text[:200]}")

    return write
