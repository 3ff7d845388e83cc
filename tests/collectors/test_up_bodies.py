"""Bodies of one group: the engine reads what it can, Python the rest, and each sender gets its own answer."""

import pytest

from fanlight_collectors.otlp import MalformedBody, SpanBatch, decode_protobuf
from fanlight_collectors.up import bodies as bodies_module
from fanlight_collectors.up.bodies import ENGINE_FROM_BYTES, read_bodies
from fanlight_collectors.up.writer import GroupWriter
from fanlight_schema import migrate
from fanlight_schema.store import Store
from otlp_requests import make_request, make_span

BASE = range(1, 7)  # numbers of the migrations that bring a body into otel_traces
LONG = "x" * 2_000


@pytest.fixture
def base(bare_store: Store) -> Store:
    migrate.apply(bare_store, files=[file for file in migrate.migrations() if file.version in BASE])
    return bare_store


def body(first: int, spans: int, **fields: object) -> bytes:
    made = [make_span(first + n, attributes={"long": LONG, "n": first + n}, **fields) for n in range(spans)]
    return make_request(made).SerializeToString()


LARGE = body(0, ENGINE_FROM_BYTES // 2_000 + 1)
NESTED = make_request([make_span(5_000, attributes={"list": {"a": [1]}})]).SerializeToString()
REJECTED = make_request(
    [make_span(6_000), make_span(6_001, trace_id=b""), make_span(6_002, end_time_unix_nano=1)]
).SerializeToString()


def stored_names(store: Store) -> list[str]:
    return [row[0] for row in store.query("SELECT SpanName FROM otel_traces ORDER BY SpanName").rows]


def names(*requests: bytes) -> list[str]:
    return sorted(str(name) for request in requests for name in decode_protobuf(request).columns["SpanName"])


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The bodies that Python read."""
    seen: list[bytes] = []

    def watching(one: bytes) -> SpanBatch:
        seen.append(one)
        return decode_protobuf(one)

    monkeypatch.setattr(bodies_module, "decode_protobuf", watching)
    return seen


def submit_together(store: Store, *requests: bytes) -> list[SpanBatch | BaseException]:
    writer = GroupWriter(store)
    stored = [writer.submit(request) for request in requests]
    writer.close()
    return [one.exception() or one.result() for one in stored]


def test_engine_reads_a_large_group_and_python_what_is_odd_in_it(base: Store, decoded: list[bytes]) -> None:
    outcomes = read_bodies(base, [LARGE, NESTED, LARGE, REJECTED])
    assert decoded == [NESTED, REJECTED]
    assert [isinstance(one, SpanBatch) and one.rows for one in outcomes] == [0, 1, 0, 2]
    assert stored_names(base) == names(LARGE, LARGE)


def test_small_group_is_read_by_python_alone(base: Store, decoded: list[bytes]) -> None:
    read_bodies(base, [NESTED, REJECTED])
    assert decoded == [NESTED, REJECTED]
    assert stored_names(base) == []


def test_body_that_is_no_otlp_is_told_apart_and_the_others_are_read(base: Store) -> None:
    first, broken, second = read_bodies(base, [LARGE, LARGE[:-3], NESTED])
    assert isinstance(broken, MalformedBody)
    assert isinstance(first, SpanBatch)
    assert first.rows > 500
    assert isinstance(second, SpanBatch)
    assert second.rows == 1


def test_every_sender_of_a_group_gets_its_own_answer(base: Store) -> None:
    plain, nested, rejected, broken = submit_together(base, LARGE, NESTED, REJECTED, LARGE[:-3])
    for one in (plain, nested):
        assert isinstance(one, SpanBatch)
        assert (one.rejects, one.repairs) == ([], {})
    assert isinstance(rejected, SpanBatch)
    assert [reject.reason for reject in rejected.rejects] == ["invalid_trace_id"]
    assert rejected.repairs == {"negative_duration": 1}
    assert isinstance(broken, MalformedBody)
    assert stored_names(base) == names(LARGE, NESTED, REJECTED)
    counted = base.query("SELECT reason, sum(count) FROM ingest_rejects GROUP BY 1 ORDER BY 1").rows
    assert counted == [("invalid_trace_id", 1), ("repaired_negative_duration", 1)]
