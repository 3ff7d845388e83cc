"""Writes spans that were in `otel_traces` before fanlight into what is derived; others may go on writing.

    for progress in backfill.run(store):
        print(progress.spans_done, "of", progress.spans)

A part is the spans of some minutes, the newest first. A span that is written twice, by two backfills or
beside the views that follow otel_traces, is one span: it has its own row in `spans`, and actions are counted
anew from those. After each part the counting gets time, so that spans which come in do not wait for months.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from . import migrate, otel_traces, refresh
from .store import Store, StoreError

SPANS_A_PART = 60_000  # what one build takes (migration 0038)
MARKS_LEFT = 1_000  # traces still to be counted when the next part begins
COUNTING_TIMEOUT_S = 600.0
INSERTS_TIMEOUT_S = 600.0
MINUTE_NS = 60 * 10**9
BEGINNING_NS, END_NS = -(2**63), 2**63 - 1
FROM = f"FROM {otel_traces.TABLE}\n"
WITHIN_REACH = "Timestamp > now() - INTERVAL 8 YEAR AND Timestamp < now() + INTERVAL 1 DAY"  # migration 0021
MINUTES = f"""
SELECT intDiv(toUnixTimestamp64Nano(Timestamp), {MINUTE_NS}) AS minute, count() AS spans
{FROM}WHERE {WITHIN_REACH}
GROUP BY minute
ORDER BY minute DESC
"""
# An insert that began before spans_mv was made does not go through it.
OLDER_INSERTS = """
SELECT count()
FROM system.processes
WHERE query_kind = 'Insert' AND now64(3) - toIntervalMillisecond(toInt64(elapsed * 1000)) <= (
    SELECT metadata_modification_time + INTERVAL 1 SECOND
    FROM system.tables
    WHERE database = currentDatabase() AND name = 'spans_mv'
)
"""
TRACE_TIMES_MERGE = f"""
SELECT count()
FROM system.tables
WHERE database = currentDatabase() AND name = '{otel_traces.TABLE}_trace_id_ts'
    AND engine LIKE '%AggregatingMergeTree'
"""
PROGRESS = """
SELECT run, min(done_from_ns), max(is_complete)
FROM backfills
WHERE checksum = {checksum:String}
GROUP BY run
ORDER BY run DESC
LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Part:
    """Spans of the minutes from `from_ns` to before `until_ns`."""

    from_ns: int
    until_ns: int
    spans: int

    @property
    def condition(self) -> str:
        bounds = [f"fromUnixTimestamp64Nano(toInt64({ns}), 'UTC')" for ns in (self.from_ns, self.until_ns)]
        return f"Timestamp >= {bounds[0]} AND Timestamp < {bounds[1]}"


@dataclass(frozen=True, slots=True)
class Progress:
    """After a part: how many of the spans that were to be written are, and what of the part was not taken."""

    spans_done: int
    spans: int
    from_ns: int
    rejects: dict[str, int]


def run(store: Store, spans_a_part: int = SPANS_A_PART) -> Iterator[Progress]:
    """Writes one part at each step of the iteration.

    Goes on where a run that was stopped had come to, and begins anew after one that was complete.
    """
    if otel_traces.cluster_of(store) is not None:
        raise StoreError(
            f"{store.database} is part of a cluster, whose tables count every span as it comes; "
            "INSERT INTO otel_traces what an older table holds"
        )
    views = {one.name: one for one in migrate.migrations_for(store)}
    _wait_for_older_inserts(store)
    number, until_ns = _where_to_go_on(store, views["spans_mv"].checksum)
    parts = plan(store.query(MINUTES).rows, until_ns, spans_a_part)
    total, done = sum(part.spans for part in parts), 0
    targets = {"spans_mv": "spans"}
    if store.query(TRACE_TIMES_MERGE).rows[0][0]:  # in older exporters' table each row would stay
        targets["otel_traces_trace_id_ts_mv"] = "otel_traces_trace_id_ts"
    for part in parts:
        for name, table in targets.items():
            _insert(store, table, _select(views[name], part.condition))
        rejects = _rejects(store, views["spans_rejects_mv"], part.condition)
        _note(store, views["spans_mv"].checksum, number, part.from_ns, part.spans, rejects)
        _let_it_count(store)
        done += part.spans
        yield Progress(done, total, part.from_ns, rejects)
    rejects = _rejects(store, views["spans_rejects_mv"], f"NOT ({WITHIN_REACH})")
    beyond = sum(rejects.values())
    _note(store, views["spans_mv"].checksum, number, BEGINNING_NS, beyond, rejects, is_complete=True)
    yield Progress(done, total, BEGINNING_NS, rejects)


def plan(minutes: Iterable[Sequence[int]], until_ns: int, spans_a_part: int) -> list[Part]:
    """Whole minutes before `until_ns`, newest first, gathered up to that many spans; a larger is alone."""
    parts: list[Part] = []
    for minute, spans in minutes:
        from_ns = minute * MINUTE_NS
        if from_ns >= until_ns:
            continue
        if parts and parts[-1].spans + spans <= spans_a_part:
            parts[-1] = Part(from_ns, parts[-1].until_ns, parts[-1].spans + spans)
        else:
            parts.append(Part(from_ns, min(from_ns + MINUTE_NS, until_ns), spans))
    return parts


def _wait_for_older_inserts(store: Store) -> None:
    deadline = time.monotonic() + INSERTS_TIMEOUT_S
    while running := store.query(OLDER_INSERTS).rows[0][0]:
        if time.monotonic() > deadline:
            raise StoreError(
                f"{running} inserts are running that began before fanlight's tables were made and that those "
                "would miss; wait until they end (SELECT * FROM system.processes)"
            )
        time.sleep(0.5)


def _where_to_go_on(store: Store, checksum: str) -> tuple[int, int]:
    """The number of the run and the time before which spans are still to be written."""
    rows = store.query(PROGRESS, {"checksum": checksum}).rows
    if not rows:
        return 1, END_NS
    number, done_from_ns, is_complete = rows[0]
    return (number + 1, END_NS) if is_complete else (number, done_from_ns)


def _select(view: migrate.Migration, condition: str) -> str:
    """What the view selects, out of the rows that meet the condition."""
    select = view.sql.partition(" AS\n")[2].rstrip().rstrip(";")
    before, found, after = select.partition(FROM)
    if not found:
        raise migrate.SchemaError(f"{view.name} does not read {otel_traces.TABLE}")
    return f"{before}FROM (SELECT * FROM {otel_traces.TABLE} WHERE {condition})\n{after}"


def _insert(store: Store, table: str, select: str) -> None:
    """Inserts by the names of the columns, as a view does; INSERT goes by their places."""
    names = [row[0] for row in store.query(f"DESCRIBE TABLE ({select})").rows]
    store.command(f"INSERT INTO {table} ({', '.join(names)})\n{select}")


def _rejects(store: Store, view: migrate.Migration, condition: str) -> dict[str, int]:
    return dict(store.query(f"SELECT reason, count FROM ({_select(view, condition)})").rows)


def _note(
    store: Store,
    checksum: str,
    number: int,
    from_ns: int,
    spans: int,
    rejects: dict[str, int],
    is_complete: bool = False,
) -> None:
    row = {
        "checksum": checksum,
        "run": number,
        "done_from_ns": from_ns,
        "is_complete": is_complete,
        "spans": spans,
        "rejects": rejects,
    }
    store.insert("backfills", {name: [value] for name, value in row.items()})


def _let_it_count(store: Store) -> None:
    """Returns when little is left to count, or when the time is up: what is left is counted all the same."""
    deadline = time.monotonic() + COUNTING_TIMEOUT_S
    while refresh.pending_traces(store) > MARKS_LEFT and time.monotonic() < deadline:
        refresh.count_now(store)
