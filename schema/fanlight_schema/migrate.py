"""Brings a store to this program's schema: numbered, forward-only .sql files, one statement each.

    for done in migrate.apply(store):
        print(done.name, done.duration_s)

Every statement is one that may run twice (IF NOT EXISTS, OR REPLACE), so two programs that start at once both
succeed, and an apply that was cut off goes on where it stopped. A file that was applied is never edited: its
SHA-256 is kept in `schema_migrations`, and apply() refuses to go on when it differs. What was dropped is made
again.

An `otel_traces` that is there already is kept as it is. Where it holds attributes as JSON (the exporter's
`json: true`), the files in migrations/json take the place of those of the same name. Where it is Distributed,
the store is a shard of a cluster, and the files are in the form that `cluster` gives them.
"""

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal, TypeAlias

from . import cluster, otel_traces
from .gpu import seeds
from .store import DEFAULT_DATABASE, Store, StoreError

Progress: TypeAlias = Callable[
    [str, int, int], None
]  # name of the step that is done, steps done, steps in all
State: TypeAlias = Literal["applied", "pending", "changed", "newer"]
Recorded: TypeAlias = dict[int, tuple[str, set[str]]]  # name and checksums by version

FILE_NAME = re.compile(r"(?P<version>\d{4})_(?P<name>[a-z0-9_]+)\.sql")
CREATED = re.compile(
    r"(?m)^CREATE (?:OR REPLACE )?(?P<kind>TABLE|VIEW|MATERIALIZED VIEW) (?:IF NOT EXISTS )?(?P<name>\w+)"
)
LEDGER = """\
CREATE TABLE IF NOT EXISTS schema_migrations
(
    version    UInt16        COMMENT 'Number of the migration file',
    name       String        COMMENT 'Name of the migration file without number and ending',
    checksum   String        COMMENT 'SHA-256 of the file as it was applied, 64 hexadecimal digits',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When it was applied, UTC'
)
ENGINE = MergeTree
ORDER BY version
COMMENT 'Which schema files were applied to this database; two programs at once may both write a row'
"""

MADE_BY_ANOTHER = (
    "another build of fanlight made these tables: go back to that one (pip install fanlight==ITS-VERSION), "
    "or make them anew: run what `fanlight schema rollback-plan` prints, which keeps otel_traces, and then "
    "`fanlight schema apply --backfill`"
)
RECORDED = "SELECT version, any(name), groupUniqArray(checksum) FROM schema_migrations GROUP BY version"


class SchemaError(StoreError):
    """The store's schema and this program's do not fit together."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One .sql file."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def created(self) -> tuple[str, str] | None:
        """Kind (TABLE, VIEW, MATERIALIZED VIEW) and name of what it makes; None where it makes nothing."""
        match = CREATED.search(self.sql)
        return match and (match["kind"], match["name"])


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """Where one migration stands: `changed` was applied with another text, `newer` is of a newer fanlight."""

    version: int
    name: str
    state: State


@dataclass(frozen=True, slots=True)
class Applied:
    """A migration that this call has applied."""

    version: int
    name: str
    duration_s: float


def migrations(*, json: bool = False, of_cluster: str | None = None) -> list[Migration]:
    """This program's migrations in order; SchemaError if two have one number.

    `json`: those for an `otel_traces` whose attributes are of type JSON. `of_cluster`: those for the servers
    of the cluster of that name.
    """
    folder = resources.files("fanlight_schema") / "migrations"
    texts = {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir() if _is_sql(file.name)}
    if json:
        others = (file for file in (folder / "json").iterdir() if _is_sql(file.name))
        texts |= {file.name: file.read_text(encoding="utf-8") for file in others}
    if of_cluster is not None:
        replaced = {_read(name, text)[1] for name, text in cluster.texts().items()}
        texts = {name: text for name, text in texts.items() if _read(name, text)[1] not in replaced}
        texts |= cluster.texts()
    found = sorted(_read(name, text) for name, text in texts.items())
    versions = [version for version, _, _ in found]
    if len(set(versions)) != len(versions):
        raise SchemaError(f"two migrations have one number among {versions}")
    files = [Migration(*parts) for parts in found]
    return files if of_cluster is None else cluster.rendered(files, of_cluster)


def migrations_for(store: Store) -> list[Migration]:
    """This program's migrations for the form of `otel_traces` that the store has, or will get."""
    json = otel_traces.has_json(otel_traces.described(store))
    return migrations(json=json, of_cluster=otel_traces.cluster_of(store))


def _is_sql(file_name: str) -> bool:
    return file_name.endswith(".sql")


def _read(file_name: str, sql: str) -> tuple[int, str, str]:
    match = FILE_NAME.fullmatch(file_name)
    if match is None:
        raise SchemaError(f"migrations/{file_name} is not named NNNN_name.sql")
    return int(match["version"]), match["name"], sql


def apply(
    store: Store, progress: Progress | None = None, *, files: Iterable[Migration] | None = None
) -> list[Applied]:
    """Applies what is pending, in order, then writes the rate cards; says what it applied.

    Raises SchemaError before anything is done if an applied file has changed or the store is of a newer
    fanlight, UnusableTable if its otel_traces lacks what is derived from; SchemaError with the file's name if
    a statement is refused: what was applied before it stays recorded.
    """
    wanted = migrations_for(store) if files is None else list(files)
    otel_traces.require_usable(store)
    store.command(LEDGER)
    states = _states(store, wanted)
    _require_known(store, states)
    made = _names(store)
    pending = {s.version for s in states if s.state == "pending"}
    steps = [one for one in wanted if one.version in pending or (one.created and one.created[1] not in made)]
    done: list[Applied] = []
    for migration in steps:
        done.append(_apply_one(store, migration))
        if progress is not None:
            progress(migration.name, len(done), len(steps))
    if files is None:
        seeds.write(store)
    return done


def _require_known(store: Store, states: list[MigrationStatus]) -> None:
    if newer := [f"{s.version:04}_{s.name}" for s in states if s.state == "newer"]:
        raise SchemaError(
            f"{store.database} was brought up to {newer[-1]} by a newer fanlight; install that one, or see "
            "`fanlight schema rollback-plan`"
        )
    if changed := [f"{s.version:04}_{s.name}" for s in states if s.state == "changed"]:
        raise SchemaError(
            f"{store.database} has {', '.join(changed)} in another form than this fanlight; {MADE_BY_ANOTHER}"
        )


def missing(store: Store) -> list[str]:
    """Tables and views that were made and are gone, in the order in which they are made."""
    applied = {one.version for one in status(store) if one.state == "applied"}
    there = _names(store)
    made = [one.created[1] for one in migrations_for(store) if one.version in applied and one.created]
    return [name for name in made if name not in there]


def _names(store: Store) -> set[str]:
    """Tables and views that the database has."""
    rows = store.query("SELECT name FROM system.tables WHERE database = currentDatabase()").rows
    return {name for (name,) in rows}


def _apply_one(store: Store, migration: Migration) -> Applied:
    started = time.perf_counter()
    try:
        store.command(migration.sql)
    except StoreError as exc:
        raise SchemaError(f"migration {migration.version:04}_{migration.name} was refused: {exc}") from exc
    store.insert(
        "schema_migrations",
        {"version": [migration.version], "name": [migration.name], "checksum": [migration.checksum]},
    )
    return Applied(migration.version, migration.name, time.perf_counter() - started)


def status(store: Store, *, files: Iterable[Migration] | None = None) -> list[MigrationStatus]:
    """Every migration of this program and of the store, by number. Changes nothing."""
    return _states(store, migrations_for(store) if files is None else list(files))


def _states(store: Store, wanted: list[Migration]) -> list[MigrationStatus]:
    return compare(_recorded(store), wanted)


def compare(recorded: Recorded, wanted: list[Migration]) -> list[MigrationStatus]:
    """Every migration of a program and of a store that has these on record, by number."""
    known = {migration.version for migration in wanted}
    states = [MigrationStatus(m.version, m.name, _state(m, recorded)) for m in wanted]
    newer = [MigrationStatus(v, name, "newer") for v, (name, _) in recorded.items() if v not in known]
    return sorted(states + newer, key=lambda state: state.version)


def _state(migration: Migration, recorded: Recorded) -> State:
    if migration.version not in recorded:
        return "pending"
    _, checksums = recorded[migration.version]
    return "applied" if checksums == {migration.checksum} else "changed"


def _recorded(store: Store) -> Recorded:
    """Name and checksums by version; empty where nothing was ever applied."""
    exists = store.query(
        "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'schema_migrations'"
    )
    if not exists.rows[0][0]:
        return {}
    return as_recorded(store.query(RECORDED).rows)


def as_recorded(rows: Iterable[Sequence[Any]]) -> Recorded:
    """The rows of RECORDED by version."""
    return {version: (name, set(checksums)) for version, name, checksums in rows}


def rollback_plan(to_version: int = 0) -> str:
    """Statements that take back what is above `to_version`, for a person to run; nothing is run here.

    Spans as they came (otel_traces and the times of its traces) are kept: all else is derived from them.
    """
    kept = (otel_traces.TABLE, f"{otel_traces.TABLE}_trace_id_ts", f"{otel_traces.TABLE}_trace_id_ts_mv")
    undone = [one for one in reversed(migrations()) if one.version > to_version]
    made = [one.created for one in undone if one.created and one.created[1] not in kept]
    drops = [f"DROP {'TABLE' if kind == 'TABLE' else 'VIEW'} IF EXISTS {name};" for kind, name in made]
    forget = f"ALTER TABLE schema_migrations DELETE WHERE version > {to_version} SETTINGS mutations_sync = 2;"
    return "\n".join([*drops, forget]) + "\n"


def roles(database: str) -> str:
    """Statements that make the roles of migrator, writer and readers on a database; nothing is run."""
    text = (resources.files("fanlight_schema") / "roles.sql").read_text(encoding="utf-8")
    return text.replace("{database}", database)


def render(of_cluster: str | None = None, database: str = DEFAULT_DATABASE) -> str:
    """All statements as one text that a person can paste into a ClickHouse client.

    `of_cluster`: those for the servers of the cluster of that name, with the database and the ledger's rows.
    """
    files = migrations(of_cluster=of_cluster)
    parts = [f"-- {m.version:04}_{m.name}\n{m.sql.strip().rstrip(';')};" for m in files]
    if of_cluster is None:
        return "\n\n".join([f"{LEDGER.strip()};", *parts]) + "\n"
    rows = ",\n".join(f"    ({m.version}, '{m.name}', '{m.checksum}')" for m in files)
    done = f"INSERT INTO schema_migrations (version, name, checksum) VALUES\n{rows};"
    ledger = LEDGER.replace("ENGINE = MergeTree", "ENGINE = ReplicatedMergeTree").strip()
    return "\n\n".join([cluster.header(of_cluster, database).strip(), f"{ledger};", *parts, done]) + "\n"
