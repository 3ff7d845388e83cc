"""Group commit: what shares an insert, and what one bad request does to the others."""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

import pytest

from fanlight_collectors.otlp import SpanBatch, decode_protobuf
from fanlight_collectors.up.writer import ByteBudget, GroupWriter, NotStorable, QueueFull
from fanlight_schema.store import QueryError, StoreError, StoreUnavailable, WriteFailed
from otlp_requests import make_request, make_span

Columns = Mapping[str, Sequence[object]]


class StoreDouble:
    """Takes inserts as a Store does, once it may, and fails those with a span of the name `poison`."""

    def __init__(self, cause: Exception | None = None) -> None:
        self.inserts: list[list[object]] = []
        self.attempts = 0
        self.entered = threading.Event()
        self.may_insert = threading.Event()
        self._cause = cause

    def insert(self, table: str, columns: Columns) -> None:
        if table != "otel_traces":
            return
        self.entered.set()
        self.may_insert.wait(10)
        self.attempts += 1
        names = list(columns["SpanName"])
        if self._cause and "poison" in names:
            raise WriteFailed(table, len(names), "no") from self._cause
        self.inserts.append(names)


def batch(*names: str) -> SpanBatch:
    return decode_protobuf(make_request([make_span(name=name) for name in names]).SerializeToString())


def submit_together(store: StoreDouble, *batches: SpanBatch) -> list["Future[None]"]:
    """Submits all while a first insert is held up, so that they wait together."""
    writer = GroupWriter(store, linger_s=0.05)  # type: ignore[arg-type]  # a double of the one method used
    first = writer.submit(batch("first"))
    assert store.entered.wait(10)
    rest = [writer.submit(one) for one in batches]
    store.may_insert.set()
    first.result(10)
    writer.close()
    return rest


def test_requests_that_wait_together_become_one_insert() -> None:
    store = StoreDouble()
    for stored in submit_together(store, batch("a"), batch("b", "c"), batch("d")):
        stored.result(10)
    assert [name for names in store.inserts for name in names] == ["first", "a", "b", "c", "d"]
    assert len(store.inserts) <= 2


@pytest.mark.parametrize("cause", [QueryError("cannot parse", 6), OverflowError("int too large")])
def test_request_that_cannot_be_stored_does_not_fail_its_neighbours(cause: Exception) -> None:
    store = StoreDouble(cause)
    good, poison, also_good = submit_together(store, batch("a"), batch("poison"), batch("b"))
    good.result(10)
    also_good.result(10)
    with pytest.raises(NotStorable):
        poison.result(10)


@pytest.mark.parametrize(
    "cause", [StoreUnavailable("down"), QueryError("memory", 241), QueryError("parts", 252)]
)
def test_store_that_cannot_write_now_is_an_error_that_may_pass(cause: Exception) -> None:
    store = StoreDouble(cause)
    [failed] = submit_together(store, batch("poison"))
    with pytest.raises(StoreError) as raised:
        failed.result(10)
    assert not isinstance(raised.value, NotStorable)


def test_close_writes_what_is_queued_and_takes_no_more() -> None:
    store = StoreDouble()
    writer = GroupWriter(store)  # type: ignore[arg-type]  # a double of the one method used
    stored = [writer.submit(batch(str(number))) for number in range(20)]
    store.may_insert.set()
    writer.close()
    assert all(one.done() and one.exception() is None for one in stored)
    with pytest.raises(StoreError, match="stopping"):
        writer.submit(batch("late"))


def test_error_that_nobody_foresaw_is_answered_and_the_writer_lives() -> None:
    store = StoreDouble()
    writer = GroupWriter(store)  # type: ignore[arg-type]  # a double of the one method used
    store.may_insert.set()
    damaged = batch("x")
    damaged.columns["SpanName"] = None  # type: ignore[assignment]  # what no decoder makes
    with pytest.raises(NotStorable, match="TypeError"):
        writer.submit(damaged).result(10)
    writer.submit(batch("fine")).result(10)
    writer.close()


def test_budget_refuses_beyond_its_limit_until_bytes_come_back() -> None:
    budget = ByteBudget(10)
    budget.take(8)
    with pytest.raises(QueueFull):
        budget.take(3)
    budget.give_back(8)
    budget.take(10)
