"""Whatever stands in a span, its batch is taken: good spans are counted, bad ones are in ingest_rejects."""

import random
from typing import Any

import pytest

import otlp_json
from fanlight_schema import dialects, refresh
from fanlight_schema.store import Store

START_NS = 1_795_400_000 * 10**9
CLOCK_NS = (0, 1, 2**62, 2**63 - 1, -1, -(2**62), START_NS - 20 * 365 * 86_400 * 10**9)
DURATIONS_NS = (0, 1, 10**9, 2**63, 2**64 - 1)
NUMBERS = ("NaN", "-nan", "inf", "-inf", "1e400", "-1e400", "-1", "-0", "1e-400", "0x10", "1_000", "٣", " 7 ")
TEXTS = ("", "\0", "\0" * 400, '"', '""', "'", "\\", "\xff\xfe", "𐍈" * 300, "null", "{", '{"id":"', "a\nb\tc")
IDS = (
    "",
    "0",
    "f",
    "zz",
    "\0" * 32,
    "0" * 32,
    "g" * 32,
    "F" * 31,
    "a" * 33,
    "é" * 16,
    "ab" * 5_000,
    "0" * 16,
)


def nasty_value(dice: random.Random) -> str:
    pick = dice.random()
    if pick < 0.45:
        return dice.choice(NUMBERS)
    if pick < 0.85:
        return dice.choice(TEXTS)
    if pick < 0.97:
        return dice.choice(IDS)
    return dice.choice("x9{\0") * dice.choice((1_000, 100_000))


def nasty_span(dice: random.Random) -> dict[str, Any]:
    """A span in which anything may be wrong, ids and times included."""
    known = [name.attribute for name in dialects.names()]
    chosen = dice.sample(known, dice.randrange(len(known)))
    good_ids = dice.random() < 0.7
    row = otlp_json.row(
        trace_id=f"{dice.getrandbits(128):032x}" if good_ids else dice.choice(IDS),
        span_id=f"{dice.getrandbits(64):016x}" if good_ids else dice.choice(IDS),
        parent_id=dice.choice(IDS),
        start_ns=START_NS if dice.random() < 0.7 else dice.choice(CLOCK_NS),
        end_ns=0,
        kind=dice.choice(("Client", "Server", "", "nonsense")),
        name=nasty_value(dice),
        scope=nasty_value(dice),
        service=nasty_value(dice),
        status=dice.choice(("Error", "Ok", "", "odd")),
        attributes={name: nasty_value(dice) for name in chosen},
        resource={name: nasty_value(dice) for name in ("cloud.region", "deployment.environment")},
    )
    return row | {"Duration": dice.choice(DURATIONS_NS)}


def good_span(number: int) -> dict[str, Any]:
    return otlp_json.row(
        trace_id=f"{number:032x}",
        span_id=f"{number:016x}",
        start_ns=START_NS,
        end_ns=START_NS + 10**9,
        attributes={"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": "7", "user.id": "good"},
    )


def is_taken(row: dict[str, Any]) -> bool:
    """Whether the ids are what OTLP allows and the start is within reach."""
    return (
        _is_id(row["TraceId"], 32)
        and _is_id(row["SpanId"], 16)
        and abs(row["Timestamp"] - START_NS) < 365 * 86_400 * 10**9
    )


def _is_id(value: str, length: int) -> bool:
    return len(value) == length and set(value.lower()) <= set("0123456789abcdef") and value.strip("0") != ""


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 8))])
def test_no_span_stops_its_batch_and_none_is_lost_in_silence(store: Store, seed: int) -> None:
    dice = random.Random(seed)
    nasty = [nasty_span(dice) for _ in range(300)]
    good = [good_span(number) for number in range(1, 101)]
    crowded = {f"key.{number}": nasty_value(dice) for number in range(10_000)} | {"user.id": "crowd"}
    good[0]["SpanAttributes"] |= crowded | {"user.id": "good"}
    good[1]["SpanAttributes"]["output.value"] = '{"id":"' * 1_500_000  # 10 MB
    mixed = nasty + good
    dice.shuffle(mixed)
    store.insert("otel_traces", otlp_json.columns(mixed))
    refresh.settle(store, timeout_s=60)
    taken = {(row["TraceId"].lower(), row["SpanId"].lower()) for row in mixed if is_taken(row)}
    refused = sum(not is_taken(row) for row in mixed)
    rejected = store.query(
        "SELECT sumIf(count, reason != 'bad_number'), sumIf(count, reason = 'bad_number') > 0,"
        " countIf(reason = '') FROM ingest_rejects"
    ).rows
    assert store.query("SELECT count() FROM spans FINAL").rows == [(len(taken),)]
    assert rejected == [(refused, True, 0)]
    by_user = store.query("SELECT sum(model_calls), sum(input_tokens) FROM actions WHERE user_id = 'good'")
    assert by_user.rows == [(100, 700)]


def test_bytes_that_are_no_text_stop_nothing(store: Store) -> None:
    broken = "unhex('C328FF00')"
    store.command(
        "INSERT INTO otel_traces"
        " (TraceId, SpanId, Timestamp, SpanName, ServiceName, ScopeName, SpanAttributes)"
        f" SELECT if(number = 0, {broken}, leftPad(toString(number), 32, '0')), '00000000000000ab', now64(9),"
        f" {broken}, {broken}, {broken},"
        f" map('user.id', {broken}, 'fanlight.action.id', {broken}, {broken}, {broken},"
        f" 'gen_ai.operation.name', 'chat', 'gen_ai.usage.input_tokens', {broken}) FROM numbers(3)"
    )
    refresh.settle(store, timeout_s=60)
    counted = store.query("SELECT sum(model_calls), sum(input_tokens), sum(calls_without_usage) FROM actions")
    assert counted.rows == [(2, None, 2)]
    rejected = store.query(
        "SELECT reason, sum(count) FROM ingest_rejects GROUP BY reason ORDER BY reason"
    ).rows
    assert rejected == [("bad_number", 2), ("bad_trace_id", 1)]
