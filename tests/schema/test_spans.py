"""What `spans` makes of attributes, good and bad. Values are the specification's; none may stop a batch."""

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

import otlp_json
from fanlight_schema import dialects, migrate, normalise
from fanlight_schema.store import Store, open_store

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
START_NS = 1_795_400_000 * 10**9


@pytest.fixture(scope="module")
def one_store(embedded_folder: Path) -> Iterator[Store]:
    with open_store(f"chdb://{embedded_folder}", database="spans_tests") as store:
        migrate.apply(store)
        yield store
        store.command("DROP DATABASE spans_tests")


@pytest.fixture
def embedded_store(one_store: Store) -> Store:
    """The module's store, emptied."""
    for table in ("otel_traces", "spans", "ingest_rejects"):
        one_store.command(f"TRUNCATE TABLE {table}")
    return one_store


def span(span_id: int, attributes: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    row = otlp_json.row(
        trace_id=TRACE,
        span_id=f"{span_id:016x}",
        start_ns=START_NS,
        end_ns=START_NS + 10**9,
        attributes=attributes or {},
    )
    return row | changes


def insert(store: Store, *rows: dict[str, Any]) -> None:
    store.insert("otel_traces", otlp_json.columns(rows))


def values(store: Store, columns: str) -> list[tuple[Any, ...]]:
    return store.query(f"SELECT {columns} FROM (SELECT * FROM spans FINAL ORDER BY span_id)").rows


def test_generated_migrations_are_what_the_dialect_tables_give() -> None:
    migrations = resources.files("fanlight_schema") / "migrations"
    assert normalise.generated() == {
        path: migrations.joinpath(path).read_text() for path in normalise.generated()
    }


def test_an_attribute_name_fills_one_column_only() -> None:
    names = [name.attribute for name in dialects.names()]
    assert len(names) == len(set(names))
    codes = [dialects.code(name) for name in dialects.names()]
    assert len(codes) == len(set(codes))


def test_every_row_of_the_dialect_tables_has_a_version_and_a_source() -> None:
    assert all(name.version and name.source for name in dialects.names())
    assert {role.role for role in dialects.roles()} < set(normalise.ROLES)


def test_each_dialects_own_names_land_in_the_same_columns(embedded_store: Store) -> None:
    told = [
        {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": "9", "gen_ai.request.model": "m"},
        {"gen_ai.operation.name": "chat", "gen_ai.usage.prompt_tokens": "9", "gen_ai.request.model": "m"},
        {"openinference.span.kind": "LLM", "llm.token_count.prompt": "9", "llm.model_name": "m"},
        {"ai.operationId": "ai.streamText.doStream", "ai.usage.promptTokens": "9", "ai.model.id": "m"},
        {
            "langfuse.observation.type": "generation",
            "gen_ai.usage.input_tokens": "9.0",
            "llm.request.model": "m",
        },
        {"mlflow.spanType": '"CHAT_MODEL"', "gen_ai.usage.input_tokens": "9", "gen_ai.request.model": "m"},
        {
            "mlflow.spanType": '"CHAT_MODEL"',
            "mlflow.llm.model": '"m"',
            "mlflow.chat.tokenUsage": '{"input_tokens": 9, "output_tokens": 3, "total_tokens": 12}',
        },
        {
            "gen_ai.operation.name": "chat.completions",
            "gen_ai.response.prompt_tokens": "9",
            "gen_ai.request.model": "m",
        },
        {
            "traceloop.span.kind": "llm",
            "llm.request.type": "chat",
            "llm.usage.prompt_tokens": "9",
            "model": "m",
        },
    ]
    insert(embedded_store, *(span(number + 1, attributes) for number, attributes in enumerate(told)))
    model = "if(response_model != '', response_model, request_model)"
    assert values(embedded_store, f"role, input_tokens, {model}") == [
        *[("call", 9, "m")] * 8,
        ("call", 9, ""),  # `model` alone is no known name
    ]


def test_a_token_count_that_is_none_is_null_and_stops_nothing(embedded_store: Store) -> None:
    bad = ("NaN", "-5", "inf", "1e30", "many", "", "99999999999", "-0.5")
    call = {"gen_ai.operation.name": "chat"}
    rows = [span(number, call | {"gen_ai.usage.input_tokens": value}) for number, value in enumerate(bad, 1)]
    insert(embedded_store, *rows, span(99, call | {"gen_ai.usage.input_tokens": "12"}))
    assert values(embedded_store, "input_tokens") == [*[(None,)] * len(bad), (12,)]
    rejected = embedded_store.query(
        "SELECT reason, sum(count), any(detail) FROM ingest_rejects GROUP BY reason"
    )
    assert rejected.rows == [("bad_number", len(bad) - 1, "service test")]  # an empty one was not told


def test_input_that_cannot_hold_its_own_cache_reads_gets_them_added(embedded_store: Store) -> None:
    reads = {"gen_ai.usage.cache_read.input_tokens": "100", "gen_ai.usage.cache_write.input_tokens": "20"}
    insert(
        embedded_store,
        span(1, reads | {"gen_ai.usage.input_tokens": "7"}),
        span(2, reads | {"gen_ai.usage.input_tokens": "130"}),
    )
    assert values(embedded_store, "input_tokens, cached_tokens") == [(127, 100), (130, 100)]


def test_spans_with_bad_ids_or_times_are_counted_and_do_not_stop_the_batch(embedded_store: Store) -> None:
    insert(
        embedded_store,
        span(1),
        span(2, TraceId="0" * 32),
        span(3, TraceId="abc"),
        span(4, TraceId="z" * 32),
        span(5, SpanId=""),
        span(6, SpanId="0" * 16),
        span(7, Timestamp=9_000_000_000 * 10**9),
        span(8, Timestamp=1),
        span(9, ParentSpanId="nonsense", Duration=2**64 - 1),
    )
    assert values(embedded_store, "span_id, parent_id, duration_ns") == [(1, 0, 10**9), (9, 0, 0)]
    rejected = embedded_store.query(
        "SELECT reason, sum(count) FROM ingest_rejects GROUP BY reason ORDER BY reason"
    )
    assert rejected.rows == [("bad_span_id", 2), ("bad_time", 2), ("bad_trace_id", 3)]


def test_ten_thousand_attributes_and_a_batch_over_90_days_are_taken(embedded_store: Store) -> None:
    crowded = {f"key.{number}": "x" * 50 for number in range(10_000)} | {"user.id": "u-1"}
    day_ns = 86_400 * 10**9
    scattered = [span(number + 2, Timestamp=START_NS - number * day_ns) for number in range(90)]
    insert(embedded_store, span(1, crowded), *scattered)
    assert values(embedded_store, "count(), max(user_id)") == [(91, "u-1")]


def test_the_state_that_counts_is_chosen_by_content_not_by_arrival(embedded_store: Store) -> None:
    full = span(1, {"gen_ai.operation.name": "chat", "user.id": "u-1", "session.id": "s-1"})
    started = full | {"Duration": 0, "SpanAttributes": full["SpanAttributes"] | {"a": "1", "b": "2"}}
    dropped = full | {"SpanAttributes": {"gen_ai.operation.name": "chat"}}
    for row in (full, started, dropped):
        insert(embedded_store, row)
    assert values(embedded_store, "duration_ns, user_id, session_id") == [(10**9, "u-1", "s-1")]


def test_details_of_the_newest_dialects_are_taken(embedded_store: Store) -> None:
    """Vercel's AI SDK 6 (its integration's attributes of a step), MLflow and Spring AI."""
    vercel = {
        "ai.operationId": "ai.streamText.doStream",
        "ai.usage.inputTokens": "120",
        "ai.usage.inputTokenDetails.noCacheTokens": "20",
        "ai.usage.inputTokenDetails.cacheReadTokens": "90",
        "ai.usage.inputTokenDetails.cacheWriteTokens": "10",
        "ai.usage.outputTokens": "30",
        "ai.usage.outputTokenDetails.reasoningTokens": "25",
    }
    odd = {"mlflow.spanType": '"LLM"', "mlflow.chat.tokenUsage": '{"input_tokens": -4, "output_tokens": "x"'}
    spring = {"gen_ai.operation.name": "framework", "spring.ai.chat.client.conversation.id": "c-7"}
    insert(embedded_store, span(1, vercel), span(2, odd), span(3, spring))
    counts = "input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens"
    assert values(embedded_store, f"role, {counts}, session_id") == [
        ("call", 120, 90, 10, 30, 25, ""),
        ("call", None, None, None, None, None, ""),
        ("other", None, None, None, None, None, "c-7"),
    ]
