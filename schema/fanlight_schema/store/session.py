"""A Store: statements, results and column-wise inserts, safe from any thread."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .clients import ClientPool, our_errors
from .engines import open_client, reason_of
from .errors import StoreError, WriteFailed
from .urls import EmbeddedTarget, Target

if TYPE_CHECKING:
    from clickhouse_connect.datatypes.base import ClickHouseType
    from clickhouse_connect.driver.client import Client

Settings = Mapping[str, Any]
Parameters = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A result's column: its name and its ClickHouse type."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Result:
    """What a query returned. Times are aware datetimes (UTC unless the column's type has a zone)."""

    columns: tuple[Column, ...]
    rows: list[tuple[Any, ...]]

    def dicts(self) -> list[dict[str, Any]]:
        names = [column.name for column in self.columns]
        return [dict(zip(names, row, strict=True)) for row in self.rows]


class Store:
    """An open database of a ClickHouse engine. Made by open_store(); usable as a context manager."""

    def __init__(self, target: Target, database: str, first: "Client") -> None:
        self.url = target.shown
        self.database = database
        self.embedded = isinstance(target, EmbeddedTarget)
        self._target = target
        self._pool = ClientPool(target, database, first)
        self._types: dict[tuple[str, tuple[str, ...]], list[ClickHouseType]] = {}

    def __repr__(self) -> str:
        return f"<Store {self.url} database={self.database}>"

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def query(
        self, sql: str, parameters: Parameters | None = None, settings: Settings | None = None
    ) -> Result:
        """Rows of one statement. `{name:Type}` in it takes `parameters["name"]`; QueryError if refused."""
        with our_errors(self.url), self._pool.lend() as client:
            answer = client.query(_bare(sql), parameters=_as_dict(parameters), settings=_as_dict(settings))
        names, types = answer.column_names, answer.column_types
        columns = tuple(Column(name, kind.name) for name, kind in zip(names, types, strict=True))
        return Result(columns, [tuple(row) for row in answer.result_rows])

    def query_bytes(
        self,
        sql: str,
        format: str,  # noqa: A002 - ClickHouse's word
        settings: Settings | None = None,
        parameters: Parameters | None = None,
    ) -> bytes:
        """The answer as ClickHouse writes it in one of its formats: CSVWithNames, JSON, TSVWithNames, ..."""
        # `readonly` cannot be taken back in the session that it was set in, so that client is not used again.
        keep = not (self.embedded and settings and "readonly" in settings)
        with our_errors(self.url), self._pool.lend(keep=keep) as client:
            return client.raw_query(
                _bare(sql), parameters=_as_dict(parameters), settings=_as_dict(settings), fmt=format
            )

    def command(
        self, sql: str, parameters: Parameters | None = None, settings: Settings | None = None
    ) -> None:
        """Runs one statement that returns nothing."""
        with our_errors(self.url), self._pool.lend() as client:
            client.command(_bare(sql), parameters=_as_dict(parameters), settings=_as_dict(settings))

    def insert(self, table: str, columns: Mapping[str, Sequence[object]]) -> None:
        """Writes rows given as columns of equal length; DateTime64(9) values are int nanoseconds.

        Returns once the rows are in the table and in every view that hangs on it. Raises WriteFailed; the
        same columns may be sent again, since a block that the table already has is dropped.
        """
        if not columns:
            raise StoreError(f"an insert into {table} names no columns")
        lengths = {len(values) for values in columns.values()}
        if len(lengths) != 1:
            raise StoreError(f"columns of unequal length for {table}: {sorted(lengths)}")
        rows = lengths.pop()
        if rows:
            self._write(table, columns, rows)

    def insert_bytes(self, table: str, data: bytes, format: str, settings: Settings | None = None) -> None:  # noqa: A002
        """Writes rows that are in one of ClickHouse's formats, which parses them; raises WriteFailed."""
        try:
            with our_errors(self.url), self._pool.lend() as client:
                client.raw_insert(table, insert_block=data, fmt=format, settings=_as_dict(settings))
        except (StoreError, OSError) as exc:
            reason = str(exc) if isinstance(exc, StoreError) else reason_of(exc)
            raise WriteFailed(table, 0, reason) from exc

    def beside(self, database: str) -> "Store":
        """Another database of the same engine, with the same log-in; to be closed on its own."""
        return Store(self._target, database, open_client(self._target))

    def close(self) -> None:
        """Closes all connections; the embedded folder is free for other processes afterwards."""
        self._pool.close()

    def _write(self, table: str, columns: Mapping[str, Sequence[object]], rows: int) -> None:
        names = tuple(columns)
        try:
            with our_errors(self.url), self._pool.lend() as client:
                client.insert(
                    table,
                    list(columns.values()),
                    column_names=names,
                    column_types=self._types_of(client, table, names),
                    column_oriented=True,
                )
        except (StoreError, OSError, struct.error, OverflowError, TypeError, ValueError) as exc:
            self._types.pop((table, names), None)  # the table may have changed
            reason = str(exc) if isinstance(exc, StoreError) else reason_of(exc)
            raise WriteFailed(table, rows, reason) from exc

    def _types_of(self, client: "Client", table: str, names: tuple[str, ...]) -> "list[ClickHouseType]":
        known = self._types.get((table, names))
        if known is None:
            context = client.create_insert_context(table, names, column_oriented=True)
            known = self._types[table, names] = list(context.column_types)
        return known


def _bare(sql: str) -> str:
    """A statement without its final semicolon: the client puts a FORMAT clause behind it."""
    return sql.rstrip().rstrip(";").rstrip()


def _as_dict(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return dict(values) if values else None
