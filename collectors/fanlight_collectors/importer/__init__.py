"""Imports OTLP trace files: JSON, JSON lines, protobuf (one message or delimited), each also gzipped.

    report = import_files([Path("traces.jsonl.gz")], StoreSink(store))
    print(report.spans, report.problems)

A file, line or message that cannot be read is a problem in the report, and the rest goes on.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from fanlight_collectors.importer.documents import STDIN, Document, Unreadable, read_documents
from fanlight_collectors.importer.report import ImportReport, Problem
from fanlight_collectors.importer.sinks import Sink, StoreSink
from fanlight_collectors.importer.up_sink import UpSink

__all__ = ["STDIN", "ImportReport", "Problem", "Sink", "StoreSink", "UpSink", "import_files"]

Progress = Callable[[Path, int, int], None]  # file, files done, files in all


def import_files(paths: Iterable[Path], sink: Sink, progress: Progress | None = None) -> ImportReport:
    """Sends every trace document of the files to the sink; raises StoreError where the sink itself fails."""
    report = ImportReport()
    files = list(paths)
    for done, path in enumerate(files):
        if progress:
            progress(path, done, len(files))
        report.files += 1
        for found in read_documents(path):
            _take(found, path, sink, report)
    sink.finish(report)
    return report


def _take(found: Document | Unreadable, path: Path, sink: Sink, report: ImportReport) -> None:
    if isinstance(found, Unreadable):
        report.problems.append(Problem(path, found.place, found.message))
    elif found.signal != "traces":
        report.skipped[found.signal] += 1
    else:
        report.documents += 1
        sink.add(found, path, report)
