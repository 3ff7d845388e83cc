"""Statements, inserts and errors of a store, on both engines."""

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from fanlight_schema import otel_traces
from fanlight_schema.store import QueryError, Store, StoreError, StoreUnavailable, WriteFailed

DAY_NS = 86_400 * 10**9
NOON_NS = 1_790_000_000 * 10**9


def spans(times_ns: Sequence[int]) -> dict[str, Sequence[object]]:
    """A column each of otel_traces, for spans that differ in their time and id."""
    rows = len(times_ns)
    columns: dict[str, Sequence[object]] = {name: [""] * rows for name in otel_traces.COLUMNS}
    columns |= {name: [[]] * rows for name in otel_traces.COLUMNS if name.startswith(("Events.", "Links."))}
    columns |= {name: [{}] * rows for name in ("ResourceAttributes", "SpanAttributes")}
    ids = {"TraceId": ["ab" * 16] * rows, "SpanId": [f"{number:016x}" for number in range(1, rows + 1)]}
    return columns | ids | {"Timestamp": times_ns, "Duration": [5] * rows}


def count(store: Store, table: str) -> int:
    found: int = store.query(f"SELECT count() FROM {table}").rows[0][0]
    return found


def test_a_span_comes_back_as_it_was_written_to_the_nanosecond(base_store: Store) -> None:
    row = spans([NOON_NS + 1])
    row["SpanAttributes"] = [{"gen_ai.request.model": "m", "leer": ""}]
    row["Events.Timestamp"] = [[NOON_NS + 2, NOON_NS + 3]]
    row["Events.Name"] = [["first", "second"]]
    row["Events.Attributes"] = [[{"k": "v ä 🜁"}, {}]]
    row["Links.TraceId"], row["Links.SpanId"] = [["cd" * 16]], [["ef" * 8]]
    row["Links.TraceState"], row["Links.Attributes"] = [[""]], [[{"a": "b"}]]
    base_store.insert("otel_traces", row)
    (got,) = base_store.query(
        "SELECT toUnixTimestamp64Nano(Timestamp), SpanAttributes, "
        "arrayMap(t -> toUnixTimestamp64Nano(t), `Events.Timestamp`), `Events.Name`, `Events.Attributes`, "
        "`Links.TraceId`, `Links.SpanId`, `Links.Attributes`, Duration FROM otel_traces"
    ).rows
    assert got == (
        NOON_NS + 1,
        {"gen_ai.request.model": "m", "leer": ""},
        [NOON_NS + 2, NOON_NS + 3],
        ["first", "second"],
        [{"k": "v ä 🜁"}, {}],
        ["cd" * 16],
        ["ef" * 8],
        [{"a": "b"}],
        5,
    )


def test_a_batch_over_two_hundred_days_and_one_time_far_off_is_stored_whole(base_store: Store) -> None:
    base_store.insert("otel_traces", spans([NOON_NS + day * DAY_NS for day in range(200)] + [1]))
    assert count(base_store, "otel_traces") == 201


def test_impossible_times_do_not_reject_a_batch(base_store: Store) -> None:
    base_store.insert("otel_traces", spans([-1, 0, NOON_NS, 2**63 - 1, -(2**63)]))
    assert count(base_store, "otel_traces") == 5


def test_a_block_that_is_sent_again_is_stored_once(base_store: Store) -> None:
    block = spans([NOON_NS, NOON_NS + 1])
    base_store.insert("otel_traces", block)
    base_store.insert("otel_traces", block)
    assert count(base_store, "otel_traces") == 2


def test_the_times_of_a_trace_are_known_at_once(base_store: Store) -> None:
    base_store.insert("otel_traces", spans([NOON_NS, NOON_NS + 7 * 10**9]))
    rows = base_store.query(
        "SELECT TraceId, toUnixTimestamp(min(Start)), toUnixTimestamp(max(End)) "
        "FROM otel_traces_trace_id_ts GROUP BY TraceId"
    ).rows
    assert rows == [("ab" * 16, NOON_NS // 10**9, NOON_NS // 10**9 + 7)]


def test_an_insert_of_no_rows_is_none(base_store: Store) -> None:
    base_store.insert("otel_traces", spans([]))
    assert count(base_store, "otel_traces") == 0


def test_query_names_and_types_its_columns(bare_store: Store) -> None:
    result = bare_store.query("SELECT 1 AS one, 'a' AS letter; ")
    assert [(c.name, c.type) for c in result.columns] == [("one", "UInt8"), ("letter", "String")]
    assert result.rows == [(1, "a")]
    assert result.dicts() == [{"one": 1, "letter": "a"}]


def test_times_come_back_aware_of_their_zone(bare_store: Store) -> None:
    ((moment,),) = bare_store.query("SELECT toDateTime64('2026-11-23 06:00:00', 3, 'UTC')").rows
    assert moment.isoformat() == "2026-11-23T06:00:00+00:00"


def test_a_parameter_is_never_read_as_sql(bare_store: Store) -> None:
    nasty = "'; DROP TABLE x; --"
    assert bare_store.query("SELECT {text:String}", {"text": nasty}).rows == [(nasty,)]


@pytest.mark.parametrize(
    ("sql", "code", "words"),
    [
        ("SELEC 1", 62, "failed at position 7"),
        ("SELECT * FROM nowhere", 60, "nowhere"),
        ("SELECT nope", 47, "nope"),
    ],
)
def test_a_refused_statement_keeps_clickhouses_message_and_code(
    bare_store: Store, sql: str, code: int, words: str
) -> None:
    with pytest.raises(QueryError) as caught:
        bare_store.query(sql)
    assert caught.value.code == code
    assert words in caught.value.message
    assert "FORMAT Native" not in caught.value.message


def test_a_setting_that_does_not_exist_is_a_refused_statement(bare_store: Store) -> None:
    with pytest.raises(QueryError, match="no_such_setting"):
        bare_store.query("SELECT 1", settings={"no_such_setting": 1})


def test_query_bytes_is_in_the_format_asked_for(bare_store: Store) -> None:
    assert bare_store.query_bytes("SELECT 1 AS a, 'x' AS b;", "CSVWithNames") == b'"a","b"\n1,"x"\n'
    assert json.loads(bare_store.query_bytes("SELECT 1 AS a", "JSON"))["data"] == [{"a": 1}]


def test_a_read_only_query_cannot_write_and_leaves_the_store_writable(bare_store: Store) -> None:
    with pytest.raises(QueryError):
        bare_store.query_bytes("CREATE TABLE t (a UInt8) ENGINE = Memory", "TSV", settings={"readonly": 1})
    assert bare_store.query_bytes("SELECT 1", "TSV", settings={"readonly": 1}) == b"1\n"
    bare_store.command("CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
    bare_store.insert("t", {"a": [1]})
    assert count(bare_store, "t") == 1


@pytest.mark.parametrize(
    "columns", [{"a": ["no number"]}, {"a": [2**70]}, {"nowhere": [1]}, {"a": [None]}], ids=str
)
def test_a_row_that_does_not_fit_is_reported_with_its_table(
    bare_store: Store, columns: dict[str, Sequence[object]]
) -> None:
    bare_store.command("CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
    with pytest.raises(WriteFailed, match="1 rows were not written to t: ") as caught:
        bare_store.insert("t", columns)
    assert (caught.value.table, caught.value.rows) == ("t", 1)
    assert count(bare_store, "t") == 0


def test_an_insert_follows_a_table_that_has_changed(bare_store: Store) -> None:
    bare_store.command("CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY tuple()")
    bare_store.insert("t", {"a": [1]})
    bare_store.command("ALTER TABLE t MODIFY COLUMN a String")
    with pytest.raises(WriteFailed):
        bare_store.insert("t", {"a": ["x"]})
    bare_store.insert("t", {"a": ["x"]})
    assert count(bare_store, "t") == 2


def test_a_disk_that_cannot_take_the_engines_temporary_file_is_reported(
    open_embedded: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_embedded()
    store.command("CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
    monkeypatch.setattr(tempfile, "tempdir", "/proc/nowhere")
    with pytest.raises(WriteFailed, match="No such file or directory"):
        store.insert("t", {"a": [1]})


def test_columns_of_unequal_length_are_refused(bare_store: Store) -> None:
    with pytest.raises(StoreError, match="unequal length"):
        bare_store.insert("t", {"a": [1], "b": []})


def test_threads_write_and_read_one_store_at_once(base_store: Store) -> None:
    def work(number: int) -> int:
        base_store.insert("otel_traces", spans([NOON_NS + number * 100 + i for i in range(50)]))
        return count(base_store, "otel_traces")

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(work, range(24)))
    assert count(base_store, "otel_traces") == 24 * 50
    assert all(number >= 50 for number in seen)


def test_a_slow_query_does_not_hold_up_an_insert(base_store: Store) -> None:
    started = threading.Event()

    def slow() -> None:
        started.set()
        base_store.query("SELECT sleep(2)")

    thread = threading.Thread(target=slow)
    thread.start()
    started.wait()
    base_store.insert("otel_traces", spans([NOON_NS]))
    still_running = thread.is_alive()
    thread.join()
    assert still_running


def test_a_closed_store_says_so(open_either: Callable[[], Store]) -> None:
    open_either()  # drops the database afterwards
    closed = open_either()
    closed.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        closed.query("SELECT 1")


def test_importing_the_schema_package_imports_no_database_driver() -> None:
    script = (
        "import sys, fanlight_schema.attributes, fanlight_schema.store, fanlight_schema.migrate; "
        "sys.exit(bool({'clickhouse_connect', 'chdb'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
