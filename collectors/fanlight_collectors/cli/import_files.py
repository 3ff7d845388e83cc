"""`fanlight import FILE...`: spans from OTLP files into the store."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import (
    MofNCompleteColumn,
)
from rich.text import Text

from fanlight_collectors.cli.errors import FAILED, CommandError
from fanlight_collectors.cli.figures import count, counted
from fanlight_collectors.cli.output import progress_bar, show_value, terminal
from fanlight_collectors.cli.target import StoreOption, find_target
from fanlight_collectors.config import UpConfig
from fanlight_collectors.importer import STDIN, ImportReport, Sink, StoreSink, UpSink, import_files
from fanlight_schema import migrate, refresh
from fanlight_schema.store import Store, open_store

MAX_PROBLEMS_SHOWN = 20
SETTLE_TIMEOUT_S = (
    120.0  # a large import is many actions; this is the longest that it waits for their figures
)


def import_(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="OTLP files, or - for stdin.", show_default=False)
    ],
    store: StoreOption = None,
) -> None:
    """Import spans from OTLP files: JSON, JSON lines or protobuf, each also gzipped.

    Files may be imported again: a span is counted once. What cannot be read is reported, the rest goes on,
    and the exit code is 1.

    Examples:
      fanlight import traces.jsonl.gz
      curl -s https://example.org/traces.json | fanlight import -
      fanlight import exported/*.json --store clickhouse://localhost
    """
    if not any(map(_is_there, files)):
        raise CommandError(f"nothing imported: there is no {' and no '.join(map(str, files))}")
    target = find_target(store, for_writing=True)
    with _open_sink(target) as sink:
        report = _import(files, sink)
    _show_summary(report, sum(map(_is_there, files)), target)
    if report.problems:
        raise typer.Exit(FAILED)


def _is_there(path: Path) -> bool:
    return path == STDIN or path.exists()


@contextmanager
def _open_sink(target: str) -> Iterator[Sink]:
    if target.startswith("http"):
        with closing(UpSink(target, UpConfig.from_environment(store="chdb:///").sender_token())) as sink:
            yield sink
        return
    with closing(open_store(target)) as store:
        migrate.apply(store)
        yield StoreSink(store)
        _settle(store)


def _settle(store: Store) -> None:
    """Figures are computed by the engine that runs here, so it must not end before they are."""
    with terminal(stderr=True).status("computing the figures"):
        refresh.settle(store, timeout_s=SETTLE_TIMEOUT_S)


def _import(files: list[Path], sink: Sink) -> ImportReport:
    with progress_bar(terminal(stderr=True), MofNCompleteColumn()) as progress:
        task = progress.add_task("reading", total=len(files))

        def on_file(path: Path, done: int, total: int) -> None:
            progress.update(task, description=show_value(path.name), completed=done, total=total)

        return import_files(files, sink, on_file)


def _show_summary(report: ImportReport, files: int, target: str) -> None:
    console, errors = terminal(), terminal(stderr=True)
    console.print(
        f"imported {counted(report.spans, 'span')} from {counted(files, 'file')} "
        f"({counted(report.documents, 'OTLP message')}) into {target}",
        soft_wrap=True,
    )
    for what, counts in (("repaired", report.repaired), ("skipped", report.skipped)):
        if counts:
            console.print(f"{what}: {_listed(counts)}", soft_wrap=True)
    for problem in report.problems[:MAX_PROBLEMS_SHOWN]:
        errors.print(Text(f"not imported: {show_value(str(problem))}", style="red"), soft_wrap=True)
    if len(report.problems) > MAX_PROBLEMS_SHOWN:
        errors.print(f"... and {count(len(report.problems) - MAX_PROBLEMS_SHOWN)} more")


def _listed(counts: "Counter[str]") -> str:
    return ", ".join(f"{count(number)} {reason}" for reason, number in counts.most_common())
