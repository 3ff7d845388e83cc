"""`fanlight doctor`: what is wrong with a set-up, and the fix."""

import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer
from rich.text import Text

from fanlight_collectors.cli import schema
from fanlight_collectors.cli.errors import CommandError
from fanlight_collectors.cli.output import Column, Format, Rows, busy, terminal, write_csv, write_json
from fanlight_collectors.cli.stats import parse_age
from fanlight_collectors.cli.target import StoreOption, find_target, open_reader, read_rows
from fanlight_collectors.cli.through_up import answers
from fanlight_collectors.config import UpConfig, default_up_url
from fanlight_collectors.doctor import checks, spool
from fanlight_collectors.doctor.findings import Finding
from fanlight_schema.store import StoreError

STYLES: Final = {"wrong": "bold red", "watch": "yellow", "fine": "green"}
DAY_S: Final = 86_400


def doctor(
    since: Annotated[
        str, typer.Option(metavar="AGE", help="Look at actions begun in the last 2d, 1w (whole days).")
    ] = "7d",
    output_format: Annotated[Format, typer.Option("--format", "-f", help="How to print it.")] = "table",
    store: StoreOption = None,
) -> None:
    """Find what is wrong with a set-up, and say what to do.

    Reads the views that `stats` reads. The exit code is 0 if nothing is wrong, 1 if something is, 2 if there
    is no store to look at.

    Examples:
      fanlight doctor
      fanlight doctor --since 1d --store clickhouse://localhost
    """
    days = -(-parse_age(since) // DAY_S)
    target = find_target(store)
    with busy("looking"):
        found = [*_of_this_machine(target), *_of_store(target, days)]
    if output_format == "table":
        _show(found)
    else:
        columns = [Column(name, "String") for name in ("level", "what", "fix")]
        rows = Rows(columns, [[one.level, one.what, one.fix] for one in found])
        (write_json if output_format == "json" else write_csv)(rows)
    wrong = sum(one.level == "wrong" for one in found)
    if wrong:
        raise CommandError(
            f"{wrong} {'thing is' if wrong == 1 else 'things are'} wrong with {target_shown(target)}"
        )


def target_shown(target: str) -> str:
    """The store without its password."""
    parts = urlsplit(target)
    return target.replace(f":{parts.password}@", ":***@") if parts.password else target


def _of_this_machine(target: str) -> Iterator[Finding]:
    yield from spool.findings(UpConfig.from_environment(store="chdb:///").spool_folder)
    up_url = default_up_url()
    if target != up_url and not answers(up_url) and _is_taken(up_url):
        yield Finding(
            "watch",
            f"something that is no fanlight up listens on {up_url}, where programs send spans unless told",
            "if it is your collector, good; else stop it, or set the programs' OTEL_EXPORTER_OTLP_ENDPOINT",
        )


def _is_taken(url: str) -> bool:
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 80), timeout=1):
            return True
    except OSError:
        return False


def _of_store(target: str, days: int) -> Iterator[Finding]:
    if stale := schema.behind(target):
        yield stale
        return
    try:
        with closing(open_reader(target)) as reader:
            yield from checks.findings(lambda sql: read_rows(reader, sql).objects(), days)
    except StoreError as error:
        yield Finding("wrong", f"the store does not answer as it should: {error}", "see the store's own log")


def _show(found: list[Finding]) -> None:
    console = terminal()
    for one in found:
        console.print(
            Text(f"{one.level}  ", style=STYLES[one.level]).append(one.what, style="default"), soft_wrap=True
        )
        if one.fix:
            console.print(Text(f"       {one.fix}", style="dim"), soft_wrap=True)
