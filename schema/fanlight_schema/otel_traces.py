"""The columns of `otel_traces`, as the Collector's clickhouseexporter writes them, and tables that it made.

Source: opentelemetry-collector-contrib, exporter/clickhouseexporter, internal/sqltemplates/traces_insert.sql.
Times are nanoseconds since 1970, UTC; `Duration` is in nanoseconds; ids are lower-case hexadecimal; a value
that is no string stands in the maps as the text that the Collector's Value.AsString gives. With `json: true`
the exporter has JSON columns instead of maps, in newer versions beside lists of their names.
"""

import re
from collections.abc import Mapping
from typing import Final

from .store import QueryError, Store, StoreError

TABLE: Final = "otel_traces"

COLUMNS: Final = (
    "Timestamp",
    "TraceId",
    "SpanId",
    "ParentSpanId",
    "TraceState",
    "SpanName",
    "SpanKind",
    "ServiceName",
    "ResourceAttributes",
    "ScopeName",
    "ScopeVersion",
    "SpanAttributes",
    "Duration",
    "StatusCode",
    "StatusMessage",
    "Events.Timestamp",
    "Events.Name",
    "Events.Attributes",
    "Links.TraceId",
    "Links.SpanId",
    "Links.TraceState",
    "Links.Attributes",
)

UNKNOWN_TABLE: Final = 60  # ClickHouse's error code
TEXT: Final = r"(LowCardinality\()?String\)?"
ATTRIBUTES: Final = rf"Map\({TEXT}, {TEXT}\)|JSON(\(.*\))?"
NEEDED: Final = {  # what spans are derived from, and the types that will do
    "Timestamp": r"DateTime64\(9.*\)",
    "TraceId": TEXT,
    "SpanId": TEXT,
    "ParentSpanId": TEXT,
    "SpanName": TEXT,
    "SpanKind": TEXT,
    "ServiceName": TEXT,
    "ScopeName": TEXT,
    "ResourceAttributes": ATTRIBUTES,
    "SpanAttributes": ATTRIBUTES,
    "Duration": r"U?Int64",
    "StatusCode": TEXT,
}


class UnusableTable(StoreError):
    """An `otel_traces` that is there and from which spans cannot be derived."""


def described(store: Store) -> dict[str, str]:
    """Type by column of the store's otel_traces; empty if there is none."""
    try:
        rows = store.query(f"DESCRIBE TABLE {TABLE}").rows
    except QueryError as exc:
        if exc.code == UNKNOWN_TABLE:
            return {}
        raise
    return {row[0]: row[1] for row in rows}


def has_json(types: Mapping[str, str]) -> bool:
    """Whether attributes are JSON columns, given the types of `described`."""
    return types.get("SpanAttributes", "").startswith("JSON")


def cluster_of(store: Store) -> str | None:
    """The cluster over which otel_traces is Distributed, as it was named; None for a table of one server."""
    rows = store.query(
        f"SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = '{TABLE}'"
    ).rows
    match = re.match(r"Distributed\('(.*?)'", rows[0][0]) if rows else None
    return match and match[1]


def faults(types: Mapping[str, str]) -> list[str]:
    """What keeps spans from being derived from a table of these types, one line each."""
    return [
        f"column {name} is missing" if name not in types else f"column {name} is {types[name]}"
        for name, fitting in NEEDED.items()
        if not re.fullmatch(fitting, types.get(name, ""))
    ]


def require_usable(store: Store) -> None:
    """UnusableTable with every fault, if there is an otel_traces from which spans cannot be derived."""
    types = described(store)
    if types and (found := faults(types)):
        raise UnusableTable(
            f"{store.database}.{TABLE} is not as the OpenTelemetry Collector's exporter makes it: "
            f"{'; '.join(found)}; rename it, or give another database"
        )


def notes(store: Store) -> list[str]:
    """What is different from the table that fanlight makes, and what follows; empty if nothing matters."""
    types = described(store)
    own = "_local" if cluster_of(store) else ""  # on a cluster: the table of this shard
    rows = store.query(
        "SELECT engine_full, create_table_query FROM system.tables"
        f" WHERE database = currentDatabase() AND name = '{TABLE}{own}'"
    ).rows
    if not rows:
        return []
    engine, create = rows[0]
    found = []
    if lacking := [name for name in COLUMNS if name not in types]:
        found.append(f"lacks {', '.join(lacking)}: only a collector can write to it, `fanlight up` cannot")
    if has_json(types):
        found.append("attributes are JSON columns: taken as they are")
    if "Replicated" not in engine and "non_replicated_deduplication_window" not in engine:
        found.append(
            "a batch that is resent takes its space again (the figures do not change); to spare it: "
            f"ALTER TABLE {TABLE}{own} MODIFY SETTING non_replicated_deduplication_window = 10000"
        )
    if (ttl := re.search(r" TTL (.+?)(?: SETTINGS |$)", engine)) and not _is_of_keep(store, ttl[1]):
        found.append(f"rows vanish by its own TTL ({ttl[1]}); what is derived from them stays")
    if "TYPE text(" in create:
        found.append("has text indexes, which take 56 bytes a span and 60 % of the insert rate (26.7)")
    return found


def _is_of_keep(store: Store, ttl: str) -> bool:
    """Whether `--keep` set this TTL: it lies a day behind what is kept (retention.keep)."""
    if not store.query("EXISTS TABLE retention").rows[0][0]:
        return False
    kept = store.query(
        "SELECT keep_days FROM retention WHERE name = {table:String} ORDER BY set_at DESC LIMIT 1",
        {"table": TABLE},
    ).rows
    return bool(kept and kept[0][0]) and f"toIntervalDay({kept[0][0] + 1})" in ttl
