"""ClickHouse reads OTLP protobuf itself: the Python decoder's rows, or it hands the body back."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from fanlight_collectors.otlp import MalformedBody, decode_protobuf
from fanlight_schema import landing, migrate
from fanlight_schema.otel_traces import COLUMNS
from fanlight_schema.store import Store, WriteFailed
from otlp_requests import make_request, make_span
from otlp_strategies import SPANS, TEXT

SHARED = Path(__file__).parents[3] / "shared" / "data"
RECORDED = Path(os.environ.get("FANLIGHT_TEST_DATA") or SHARED) / "otlp-generated"
LANDING = range(1, 7)  # numbers of the migrations that bring a body into otel_traces

some = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def bare(bare_store: Store) -> Store:
    migrate.apply(bare_store, files=[file for file in migrate.migrations() if file.version in LANDING])
    return bare_store


def rows_of(store: Store) -> list[tuple[Any, ...]]:
    """What is in otel_traces, times in nanoseconds; the table is empty afterwards."""
    columns = ", ".join(f"`{name}`" for name in COLUMNS)
    event_ns = "arrayMap(t -> toUnixTimestamp64Nano(t), `Events.Timestamp`)"
    in_ns = f"toUnixTimestamp64Nano(Timestamp) AS Timestamp, {event_ns} AS `Events.Timestamp`"
    rows = store.query(f"SELECT * REPLACE ({in_ns}) FROM (SELECT {columns} FROM otel_traces)").rows
    store.command("TRUNCATE TABLE otel_traces")
    return sorted(rows, key=repr)


def decoded(bodies: Sequence[bytes]) -> list[tuple[Any, ...]]:
    batches = [decode_protobuf(body).columns for body in bodies]
    rows = [row for columns in batches for row in zip(*columns.values(), strict=True)]
    return sorted(rows, key=repr)


def is_plain(body: bytes) -> bool:
    batch = decode_protobuf(body)
    return not batch.rejects and not batch.repairs


def landed(store: Store, bodies: Sequence[bytes]) -> list[int]:
    """Inserts what the engine takes and returns the places of the others."""
    try:
        landing.insert(store, bodies)
    except landing.OddBodies as odd:
        landing.insert(store, [body for place, body in enumerate(bodies) if place not in odd.places])
        return list(odd.places)
    return []


def assert_same_rows(store: Store, bodies: Sequence[bytes]) -> list[int]:
    odd = landed(store, bodies)
    taken = [body for place, body in enumerate(bodies) if place not in odd]
    assert all(map(is_plain, taken))
    assert rows_of(store) == decoded(taken)
    return odd


@some
@given(requests=st.lists(st.tuples(st.lists(SPANS, max_size=3), TEXT), max_size=4))
def test_any_request_gives_the_rows_of_the_python_decoder_or_is_handed_back(
    bare: Store, requests: list[tuple[list[Span], str]]
) -> None:
    assert_same_rows(bare, [make_request(spans, service).SerializeToString() for spans, service in requests])


VALUES: list[Any] = [
    "",
    "text",
    'ä\n\0"',
    True,
    False,
    0,
    -(2**63),
    2**63 - 1,
    b"\x00\xff",
    b"",
    ["a", "b c"],
    None,
]
DOUBLES = [0.0, -0.0, 1.0, 0.1, -1.5, 1e-6, 1e-7, 123456789012345680000.0, 999999999999999868928.0, 5e-324]
NESTED: list[Any] = [
    {"a": 1},
    [1],
    [["a"]],
    ['"'],
    ["<"],
    ["ä"],
    ["\x7f"],
    ["a\n"],
    [],
    [None],
    float("nan"),
    float("inf"),
    1e21,
]


@pytest.mark.parametrize("value", VALUES + DOUBLES, ids=repr)
def test_plain_values_are_read_by_the_engine(bare: Store, value: Any) -> None:
    spans = [make_span(number, attributes={"a": value, "b": "x"}) for number in range(3)]
    assert assert_same_rows(bare, [make_request(spans).SerializeToString()]) == []


@some
@given(numbers=st.lists(st.floats(-1e21, 1e21, exclude_min=True, exclude_max=True), min_size=1, max_size=200))
@example(numbers=[1e20, 123456.789e15, 1.7976931348623157e-300])
def test_doubles_are_written_as_the_decoder_writes_them(bare: Store, numbers: list[float]) -> None:
    attributes = {str(place): number for place, number in enumerate(numbers)}
    body = make_request([make_span(attributes=attributes)]).SerializeToString()
    assert assert_same_rows(bare, [body]) == []


@pytest.mark.parametrize("value", NESTED, ids=repr)
def test_nested_values_are_handed_back(bare: Store, value: Any) -> None:
    good = make_request([make_span(1)]).SerializeToString()
    nested = make_request([make_span(2, attributes={"a": value})]).SerializeToString()
    assert assert_same_rows(bare, [good, nested, good]) == [1]


def test_recorded_payloads_of_other_tracers_give_the_same_rows(bare: Store) -> None:
    found = sorted(RECORDED.glob("*/*-traces.pb"))
    if not found:
        pytest.skip(f"the recorded OTLP payloads are not in {RECORDED}")
    bodies = [path.read_bytes() for path in found]
    odd = assert_same_rows(bare, bodies)
    assert len(odd) < len(bodies) / 2


@settings(some, max_examples=100)
@given(data=st.data())
def test_damage_to_a_body_spoils_no_other_and_is_read_as_the_decoder_reads_it(
    bare: Store, data: st.DataObject
) -> None:
    good = make_request([make_span(7), make_span(8)]).SerializeToString()
    body = bytearray(make_request([make_span(1), make_span(2)]).SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(body[: data.draw(st.integers(1, len(body)))])
    bodies = [good, damaged, good]
    try:
        odd = landed(bare, bodies)
    except WriteFailed:
        assert rows_of(bare) == []
        return
    taken = [body for place, body in enumerate(bodies) if place not in odd]
    try:
        expected = decoded(taken)
    except MalformedBody:
        pytest.fail("the engine took a body that is no OTLP")
    assert rows_of(bare) == expected


def test_embedded_engine_leaves_nothing_in_the_working_directory(
    embedded_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    landing.insert(embedded_store, [make_request([make_span()]).SerializeToString()])
    assert list(tmp_path.iterdir()) == []
