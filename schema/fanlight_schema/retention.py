"""How long tables are kept: a TTL, and the row in `retention` that makes what comes later be told.

    retention.keep(store, retention.parse("spans=400d,cold=30d"))

The TTL lies a day behind what is kept, so that a span is told as late before its neighbours are dropped. On a
cluster it is set on the tables of one shard, the one of the store.
"""

import re
from dataclasses import dataclass

from . import otel_traces
from .store import Store, StoreError

TIMES = {  # what can be aged: tables by name with the time that says how old a row is
    "otel_traces": {"otel_traces": "toDateTime(Timestamp)", "otel_traces_trace_id_ts": "toDateTime(Start)"},
    "spans": {"spans": "toDateTime(started_at)"},
    "ingest_rejects": {"ingest_rejects": "toDateTime(time)"},
    "engine_samples": {"engine_samples": "toDateTime(scraped_at)"},
    "gpu_samples": {"gpu_samples": "toDateTime(scraped_at)"},
}
COLD_VOLUME = "cold"  # of the table's storage policy; see ClickHouse's "Using multiple block devices"
TEXT = re.compile(r"(?P<table>\w+)=(?:(?P<keep>\d+)d|forever)(?:,cold=(?P<cold>\d+)d)?")


@dataclass(frozen=True, slots=True)
class Retention:
    """Days that a table is kept, 0 for ever, and days until it moves to the volume `cold`, 0 for never."""

    table: str
    keep_days: int
    cold_days: int = 0


def parse(text: str) -> Retention:
    """`spans=400d`, `otel_traces=30d,cold=7d` or `spans=forever`; StoreError for anything else.

    >>> parse("otel_traces=30d,cold=7d")
    Retention(table='otel_traces', keep_days=30, cold_days=7)
    """
    match = TEXT.fullmatch(text)
    if match is None or match["table"] not in TIMES or match["keep"] == "0":
        raise StoreError(
            f'"{text}" does not say how long a table is kept; give one of {", ".join(TIMES)} with days, '
            "for example spans=400d, spans=400d,cold=30d or spans=forever"
        )
    return Retention(match["table"], int(match["keep"] or 0), int(match["cold"] or 0))


def keep(store: Store, wanted: Retention) -> int:
    """Sets the TTL, and says how many rows are older than that and go with the next merges.

    What is late is told from now on, before the first row goes. StoreError, and nothing is changed, if rows
    should move to a volume that a table's storage policy does not have.
    """
    if wanted.cold_days:
        _require_cold_volume(store, wanted.table)
    store.insert("retention", {"name": [wanted.table], "keep_days": [wanted.keep_days]})
    older = 0
    own = "_local" if otel_traces.cluster_of(store) else ""  # on a cluster: what this shard has
    for name, time in TIMES[wanted.table].items():
        table = f"{name}{own}"
        if wanted.keep_days and name == wanted.table:
            condition = f"{time} < now() - INTERVAL {wanted.keep_days + 1} DAY"
            older = store.query(f"SELECT count() FROM {table} WHERE {condition}").rows[0][0]
        clauses = _clauses(time, wanted)
        if clauses:
            store.command(f"ALTER TABLE {table} MODIFY TTL {', '.join(clauses)}")
            store.command(f"ALTER TABLE {table} MODIFY SETTING ttl_only_drop_parts = 1")
        elif _has_ttl(store, table):
            store.command(f"ALTER TABLE {table} REMOVE TTL")
    return int(older)


def _require_cold_volume(store: Store, table: str) -> None:
    own = "_local" if otel_traces.cluster_of(store) else ""
    policy = store.query(
        "SELECT storage_policy FROM system.tables"
        " WHERE database = currentDatabase() AND name = {table:String}",
        {"table": f"{table}{own}"},
    ).rows[0][0]
    volumes = store.query(
        "SELECT volume_name FROM system.storage_policies WHERE policy_name = {policy:String}",
        {"policy": policy},
    ).rows
    if (COLD_VOLUME,) not in volumes:
        raise StoreError(
            f"{table} has no volume {COLD_VOLUME} to move rows to: give the server a storage policy that has "
            f'the volumes of "{policy}" and one named {COLD_VOLUME} (storage_configuration of its config), '
            f"then ALTER TABLE {table}{own} MODIFY SETTING storage_policy = 'ITS NAME'; or leave out cold="
        )


def _clauses(time: str, wanted: Retention) -> list[str]:
    moved = f"{time} + INTERVAL {wanted.cold_days} DAY TO VOLUME '{COLD_VOLUME}'"
    dropped = f"{time} + INTERVAL {wanted.keep_days + 1} DAY DELETE"
    return [moved] * bool(wanted.cold_days) + [dropped] * bool(wanted.keep_days)


def _has_ttl(store: Store, table: str) -> bool:
    rows = store.query(
        "SELECT engine_full LIKE '% TTL %' FROM system.tables"
        " WHERE database = currentDatabase() AND name = {table:String}",
        {"table": table},
    ).rows
    return bool(rows and rows[0][0])
