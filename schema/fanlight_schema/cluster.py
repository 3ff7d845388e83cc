"""The migrations in cluster form: replicated tables, and those of all shards behind one name.

    for one in cluster.rendered(migrate.migrations(), "prod"):
        print(one.sql)

A table of SHARDED becomes two: NAME_local holds this shard's rows, NAME is Distributed over all of them. A
view that reads NAME reads everybody's, except where it is this shard's own work: in materialised views that
follow an insert, and in the steps of the builds (OWN). Tables of EVERYWHERE are small and replicated to every
server. All other tables are a shard's own. Files in migrations/cluster are for clusters alone; one that has
the name of another takes its place.

Spans lie by trace: which action they belong to is learned late, may change, and is walked along the trace.
All that is counted lies by action. Most actions have the id of their trace, and then both are one shard.
"""

import re
from collections.abc import Iterable
from importlib import resources
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .migrate import Migration

BY_TRACE: Final = "cityHash64(trace_id)"
BY_ACTION: Final = "cityHash64(action_id)"
BY_TEXT: Final = "cityHash64(unhex(TraceId))"  # the same number as BY_TRACE
BY_TARGET: Final = "cityHash64(target)"
ANYWHERE: Final = "rand()"

SHARDED: Final = {  # tables by what tells a row's shard
    "otel_traces": BY_TEXT,
    "otel_traces_trace_id_ts": BY_TEXT,
    "spans": BY_TRACE,
    "trace_index": BY_TRACE,
    "forwarded": BY_ACTION,
    "action_traces": BY_ACTION,
    "cascades": BY_ACTION,
    "demand_hours": BY_ACTION,
    "shapes": BY_ACTION,
    "engine_samples": BY_TARGET,
    "gpu_samples": BY_TARGET,
    "gpu_models_seen": ANYWHERE,
    "ingest_rejects": ANYWHERE,
}
EVERYWHERE: Final = ("retention", "gpu_rate_cards", "placements", "gpu_rates", "schema_seeds")

OWN: Final = {  # views by name, with what they mean as this shard's alone; those of inserts mean all so
    r"picked_rmv|build_\w+": ("cascades", "action_traces"),
    r"forward_rmv": ("trace_index",),
}
SENT: Final = {  # materialised views of inserts that read or write everybody's table
    "otlp_landing_mv": ("otel_traces",),
    "arrived_done_mv": ("forwarded",),
}

DISTRIBUTED: Final = 1000  # added to a migration's number: its Distributed table
REPLICATED_EVERYWHERE: Final = "'/clickhouse/{cluster}/{database}/{table}', '{shard}-{replica}'"
HEADER: Final = """\
-- The schema on the cluster {name of cluster}. Run this on one replica of every shard; the Replicated
-- database brings it to the other replicas of the shard, and lets one of them at a time refresh a view.
-- Macros that every server must have: shard, replica, and cluster, which is the same on all of them.
-- What else the servers need, and how writers have to be set: docs/cluster.md.
CREATE DATABASE IF NOT EXISTS {name of database}
ENGINE = Replicated('/clickhouse/databases/{cluster}/{name of database}/{shard}', '{shard}', '{replica}');

USE {name of database};

SET database_replicated_allow_replicated_engine_arguments = 3;
"""


def rendered(files: "Iterable[Migration]", cluster: str) -> "list[Migration]":
    """The migrations for the servers of a cluster, in the order in which they can be applied.

    `cluster` is its name in remote_servers, or a macro: `{cluster}`.
    """
    from .migrate import Migration

    steps: list[Migration] = []
    for one in files:
        kind, name = one.created or ("", "")
        steps.append(Migration(one.version, one.name, _local(one.sql, kind, name)))
        if kind == "TABLE" and name in SHARDED:
            sql = _distributed(one.sql, name, cluster)
            steps.append(Migration(DISTRIBUTED + one.version, f"{one.name}_distributed", sql))
    return steps


def header(cluster: str, database: str) -> str:
    """What stands above the statements: the database, and what it needs."""
    return HEADER.replace("{name of cluster}", cluster).replace("{name of database}", database)


def without_keeper(sql: str) -> str:
    """A statement of `rendered` for a server without Keeper: its tables have one replica."""
    plain = re.sub(r"(?m)^ENGINE = Replicated(?=\w*MergeTree)", "ENGINE = ", sql)
    plain = plain.replace(f"{REPLICATED_EVERYWHERE}, ", "").replace(f"({REPLICATED_EVERYWHERE})", "")
    return plain.replace(" replicated_deduplication_window", " non_replicated_deduplication_window")


def texts() -> dict[str, str]:
    """The files that only clusters have, by name."""
    folder = resources.files("fanlight_schema") / "migrations" / "cluster"
    return {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()}


def _local(sql: str, kind: str, name: str) -> str:
    """The statement for one shard."""
    if kind == "TABLE":
        return _replicated(_renamed(sql, name) if name in SHARDED else sql, name)
    sql = re.sub(r"(?m)^( *)-- on a cluster: ", r"\1", sql)
    if kind == "MATERIALIZED VIEW" and " REFRESH EVERY " not in sql:
        own = [table for table in SHARDED if table not in SENT.get(name, ())]
    else:
        own = [table for views, tables in OWN.items() if re.fullmatch(views, name) for table in tables]
        # What a subquery finds is sent to the other shards; they would look for it among their own.
        sql = re.sub(r"\b(NOT )?IN(\s*\(\s*SELECT\b)", r"GLOBAL \1IN\2", sql)
    return re.sub(rf"\b(FROM|JOIN|TO) ({'|'.join(own)})\b", r"\1 \2_local", sql) if own else sql


def _renamed(sql: str, name: str) -> str:
    return sql.replace(f"CREATE TABLE IF NOT EXISTS {name}\n", f"CREATE TABLE IF NOT EXISTS {name}_local\n")


def _replicated(sql: str, name: str) -> str:
    """With a replicated engine; the database gives path and replica, except where all servers share."""
    where = REPLICATED_EVERYWHERE if name in EVERYWHERE else ""

    def engine(match: re.Match[str]) -> str:
        arguments = ", ".join(part for part in (where, match["arguments"]) if part)
        return f"ENGINE = Replicated{match['engine']}" + (f"({arguments})" if arguments else "")

    sql = sql.replace(" non_replicated_deduplication_window", " replicated_deduplication_window")
    return re.sub(r"(?m)^ENGINE = (?P<engine>\w*MergeTree)(?:\((?P<arguments>.*)\))?$", engine, sql)


def _distributed(sql: str, name: str, cluster: str) -> str:
    comment = sql[sql.rindex("\nCOMMENT ") + 1 :].strip().rstrip(";")
    return (
        f"-- {name}_distributed: {name} of all shards.\n"
        f"CREATE TABLE IF NOT EXISTS {name} AS {name}_local\n"
        f"ENGINE = Distributed('{cluster}', currentDatabase(), {name}_local, {SHARDED[name]})\n"
        f"{comment};\n"
    )
