"""Where imported requests go: into a store that is open here, or through a running `fanlight up`."""

from pathlib import Path
from typing import Final, Protocol

from fanlight_collectors.importer.documents import Document
from fanlight_collectors.importer.report import ImportReport, Problem
from fanlight_collectors.otlp import (
    MalformedBody,
    SpanBatch,
    decode_json_document,
    decode_protobuf,
    merge_batches,
)
from fanlight_collectors.otlp.rejects import REJECTS_TABLE, reject_columns
from fanlight_schema.otel_traces import TABLE
from fanlight_schema.store import Store

ROWS_PER_INSERT: Final = 20_000


class Sink(Protocol):
    """Takes the requests of an import."""

    def add(self, document: Document, path: Path, report: ImportReport) -> None:
        """Takes one request; may hold it back until finish()."""

    def finish(self, report: ImportReport) -> None:
        """Writes what is held back."""


class StoreSink:
    """Inserts into a store, many requests at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._held: list[SpanBatch] = []
        self._rows = 0

    def add(self, document: Document, path: Path, report: ImportReport) -> None:
        try:
            batch = decode_document(document)
        except MalformedBody as exc:
            report.problems.append(Problem(path, document.place, str(exc)))
            return
        self._held.append(batch)
        self._rows += batch.rows
        report.reject(path, document.place, batch.rejects)
        report.repaired.update(batch.repairs)
        if self._rows >= ROWS_PER_INSERT:
            self.finish(report)

    def finish(self, report: ImportReport) -> None:
        if not self._held:
            return
        self._store.insert(TABLE, merge_batches(self._held))
        self._store.insert(REJECTS_TABLE, reject_columns(self._held, "import"))
        report.spans += self._rows
        self._held, self._rows = [], 0


def decode_document(document: Document) -> SpanBatch:
    """The rows of a document; raises MalformedBody."""
    if document.json is not None:
        return decode_json_document(document.json)
    return decode_protobuf(document.protobuf)
