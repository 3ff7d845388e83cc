"""Which store a command reads: the one that was named, else a running `fanlight up`, else ./fanlight-data."""

import os
import re
from pathlib import Path
from typing import Annotated, Protocol, TypeAlias

import typer

from fanlight_collectors.cli.caret import shorten
from fanlight_collectors.cli.errors import CommandError, unusable
from fanlight_collectors.cli.output import Rows, parse_rows
from fanlight_collectors.cli.through_up import answers, open_up
from fanlight_collectors.config import DEFAULT_FOLDER, DEFAULT_LISTEN, default_up_url
from fanlight_collectors.sqlguard import Guard, Refused
from fanlight_schema.store import QueryError, StoreError, open_store

DATA_FOLDER = DEFAULT_FOLDER
DEMO_FOLDER = "fanlight-demo"  # of `fanlight demo`, apart from the figures of real programs
UNKNOWN_TABLE = 60
MISSING_NAME = frozenset({47, UNKNOWN_TABLE, 81})  # ClickHouse: unknown identifier, table, database
READ_ONLY = {"readonly": 1}  # a command that reads never changes a store, whatever the statement
ONE_SLASH = re.compile(r"(chdb|clickhouses?|https?):(?!//)")
UP_SCHEMES = ("http://", "https://")

StoreOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--store",
        envvar="FANLIGHT_STORE",
        metavar="URL",
        help="A folder, clickhouse://user:password@host/db, or the http:// address of a running up "
        f"(default: http://{DEFAULT_LISTEN} if up runs there, else ./{DATA_FOLDER}).",
        show_default=False,
    ),
]


class Reader(Protocol):
    """Something that answers a SELECT: a store opened here, or a running `up`."""

    shown: str

    def query_bytes(self, sql: str, output_format: str) -> bytes:
        """The answer in a ClickHouse output format; QueryError where ClickHouse refuses the statement."""
        ...

    def close(self) -> None: ...


def read_rows(reader: Reader, sql: str) -> Rows:
    """The rows of a SELECT of ours; CommandError where the store lacks a view or column that it names."""
    try:
        return parse_rows(reader.query_bytes(sql, "JSONCompact"))
    except QueryError as error:
        if error.code in MISSING_NAME:
            if not _has_ledger(reader):
                raise unusable(f"{reader.shown} {no_tables(reader.shown)}") from error
            raise unusable(
                f"{reader.shown} is not as this fanlight needs it ({shorten(error.message)}); "
                f"`fanlight schema status --store {reader.shown}` says what it lacks and what to do"
            ) from error
        raise


def no_tables(shown: str) -> str:
    """What is wrong with a database that fanlight has never been applied to, and what to do."""
    return (
        f"has no fanlight tables yet; run: fanlight schema apply --store {shown} "
        "(--backfill also counts the spans that are there)"
    )


def _has_ledger(reader: Reader) -> bool:
    """Whether migrations were ever applied; also where that cannot be asked."""
    try:
        reader.query_bytes("SELECT count() FROM schema_migrations", "JSONCompact")
    except QueryError as error:
        return error.code != UNKNOWN_TABLE
    return True


def open_reader(store: str | None, *, guarded: bool = False) -> Reader:
    """A reader of the store that the options name; CommandError says what to do if there is none.

    `guarded`: a person's statements are held to what an `up` answers, also where a folder is read directly.
    """
    target = find_target(store)
    return open_up(target) if target.startswith(UP_SCHEMES) else DirectReader(target, guarded)


def find_target(store: str | None, *, for_writing: bool = False) -> str:
    """The URL of a store or of a running up; for writing, ./fanlight-data need not be there yet."""
    if store is not None:
        return store_url(store)
    up_url = default_up_url()
    if answers(up_url):
        return up_url
    if not for_writing and not Path(DATA_FOLDER).is_dir():
        demo = f" (the demo's data: --store ./{DEMO_FOLDER})" if Path(DEMO_FOLDER).is_dir() else ""
        raise unusable(
            f"no data yet: no `fanlight up` runs at {up_url} and there is no folder ./{DATA_FOLDER}; "
            f"try `fanlight demo`, or start `fanlight up`, or name a store with --store{demo}"
        )
    return store_url(DATA_FOLDER)


def store_url(text: str) -> str:
    """A store's URL; a folder may be given as a path. CommandError for a URL with too few slashes."""
    if scheme := ONE_SLASH.match(text):
        slashes = "///" if scheme[1] == "chdb" else "//"
        raise unusable(
            f"{text} is no store; after {scheme[1]}: come {len(slashes)} slashes: {scheme[1]}:{slashes}..."
        )
    return text if "://" in text else f"chdb://{Path(text).resolve()}"


def require_folder(url: str) -> None:
    """CommandError where the folder of an embedded store is none."""
    folder = Path(url.removeprefix("chdb://"))
    if not url.startswith("chdb://") or folder.is_dir():
        return
    if folder.exists():
        raise unusable(f"{folder} is a file, not a data folder; name a folder with --store")
    raise unusable(f"there is no data folder {folder}; `fanlight up --data {folder}` makes one")


def check_permission(url: str) -> None:
    """CommandError where this user may not write to the folder of an embedded store, as its engine must."""
    folder = Path(url.removeprefix("chdb://"))
    if not url.startswith("chdb://") or not folder.exists():
        return
    for path in (folder, folder / "status"):
        if path.exists() and not os.access(path, os.R_OK | os.W_OK):
            raise unusable(
                f"cannot write to {path}: Permission denied; run this as its owner, or take another folder"
            )


class DirectReader:
    """Reads a store that is opened in this process, and changes nothing in it."""

    def __init__(self, url: str, guarded: bool = False) -> None:
        require_folder(url)
        check_permission(url)
        try:
            self._store = open_store(url, create=False)
        except StoreError as error:
            raise unusable(str(error)) from error
        self.shown = self._store.url
        # On a server its own grants say what this user may do.
        self._guard = Guard(self._store) if guarded and self._store.embedded else None

    def query_bytes(self, sql: str, output_format: str) -> bytes:
        if self._guard is not None:
            self._check(self._guard, sql)
        return self._store.query_bytes(sql, output_format, READ_ONLY)

    def _check(self, guard: Guard, sql: str) -> None:
        try:
            guard.check(sql)
        except Refused as error:
            raise CommandError(f"this statement is not run: {error}") from error

    def close(self) -> None:
        self._store.close()
