"""Finds where a store's tables and views are not as the migrations make them.

    for difference in drift.find(store):
        print(difference.name, difference.what, difference.fix)

What should be is made by the same engine, in a database of its own that is dropped again, so that both sides
are in the same words. Tables that an exporter made are left out (otel_traces.notes tells of them), and so are
TTLs, storage settings and comments: they are the operator's.
"""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from . import cluster, migrate, otel_traces
from .store import Store

EXPORTERS = (otel_traces.TABLE, f"{otel_traces.TABLE}_trace_id_ts", f"{otel_traces.TABLE}_trace_id_ts_mv")
APPLY = "run: fanlight schema apply"
TABLES = """
SELECT name, replaceOne(engine, 'Replicated', '') AS engine, partition_key, sorting_key, primary_key,
    if(endsWith(engine, 'View'), create_table_query, '') AS made_by
FROM system.tables
WHERE database = currentDatabase()
"""
COLUMNS = """
SELECT table, name, concat(type, ' ', default_kind, ' ', default_expression) AS kind
FROM system.columns
WHERE database = currentDatabase()
ORDER BY table, position
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """One table, view or column that is not as it should be, and what to do about it."""

    name: str
    what: str
    fix: str


@dataclass(frozen=True, slots=True)
class Shape:
    """What a database holds: properties by table or view, kinds by column of each."""

    objects: dict[str, dict[str, Any]]
    columns: dict[str, dict[str, str]]


def find(store: Store) -> list[Difference]:
    """Every difference; needs the right to make a database. Changes nothing in the store's own."""
    with _as_it_should_be(store) as other:
        return compare(read(store), read(other))


def read(store: Store) -> Shape:
    """What the store's database holds, in the engine's own words."""
    columns: dict[str, dict[str, str]] = {}
    for table, name, kind in store.query(COLUMNS).rows:
        columns.setdefault(table, {})[name] = kind.strip()
    objects = {row["name"]: row for row in store.query(TABLES).dicts()}
    # The engine writes the database before each name; "fanlight.action.id" is an attribute all the same.
    qualified = re.compile(rf"\b{re.escape(store.database)}\.({'|'.join(objects)})\b")
    bare = {name: row | {"made_by": qualified.sub(r"\1", row["made_by"])} for name, row in objects.items()}
    return Shape(bare, columns)


def compare(found: Shape, wanted: Shape) -> list[Difference]:
    """What `found` lacks or has otherwise than `wanted`; what only `found` has is nobody's concern."""
    differences: list[Difference] = []
    for name, want in wanted.objects.items():
        if name in EXPORTERS:
            continue
        if name not in found.objects:
            differences.append(Difference(name, "missing", APPLY))
        elif want["made_by"]:
            if found.objects[name]["made_by"] != want["made_by"]:
                differences.append(Difference(name, "another definition", f"DROP VIEW {name}; then {APPLY}"))
        else:
            differences += _of_table(name, found, wanted)
    return differences


def _of_table(name: str, found: Shape, wanted: Shape) -> Iterator[Difference]:
    anew = (
        f"make the table anew: EXCHANGE TABLES with one from `fanlight schema sql`, INSERT INTO {name} SELECT"
    )
    for what in ("engine", "partition_key", "sorting_key", "primary_key"):
        was, want = found.objects[name][what], wanted.objects[name][what]
        if was != want:
            yield Difference(name, f"{what} is {was or 'none'}, not {want or 'none'}", anew)
    has, needs = found.columns.get(name, {}), wanted.columns.get(name, {})
    for column, kind in needs.items():
        if column not in has:
            yield Difference(f"{name}.{column}", "missing", f"ALTER TABLE {name} ADD COLUMN {column} {kind}")
        elif has[column] != kind:
            fix = f"ALTER TABLE {name} MODIFY COLUMN {column} {kind}"
            yield Difference(f"{name}.{column}", f"is {has[column]}, not {kind}", fix)
    for column in has.keys() - needs.keys():
        fix = f"nothing reads it; ALTER TABLE {name} DROP COLUMN {column}"
        yield Difference(f"{name}.{column}", "extra", fix)


@contextmanager
def _as_it_should_be(store: Store) -> Iterator[Store]:
    """A database beside the store's, with everything as the migrations make it."""
    name = f"{store.database}_should_be_{secrets.token_hex(4)}"
    store.command("CREATE DATABASE {name:Identifier}", {"name": name})
    try:
        with store.beside(name) as other:
            if types := otel_traces.described(store):
                columns = ", ".join(f"`{column}` {kind}" for column, kind in types.items())
                other.command(f"CREATE TABLE {otel_traces.TABLE} ({columns}) ENGINE = Null")
            for migration in migrate.migrations_for(store):
                other.command(cluster.without_keeper(migration.sql))
            yield other
    finally:
        store.command("DROP DATABASE IF EXISTS {name:Identifier}", {"name": name})
