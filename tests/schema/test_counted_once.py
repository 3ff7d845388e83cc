"""What is one call and one request: hand-computed cases of DESIGN.md, "What is counted once"."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import otlp_json
from fanlight_schema import migrate, refresh
from fanlight_schema.store import Store, open_store

START_NS = 1_795_400_000 * 10**9
LLM = {"openinference.span.kind": "LLM", "llm.model_name": "m"}
WIRE = {"fanlight.role": "call", "fanlight.wire": "true", "gen_ai.request.model": "m"}
_traces = itertools.count(1)


@pytest.fixture(scope="module")
def store(embedded_folder: Path) -> Iterator[Store]:
    with open_store(f"chdb://{embedded_folder}", database="counted_once") as opened:
        migrate.apply(opened)
        yield opened
        opened.command("DROP DATABASE counted_once")


class Trace:
    """Spans of one trace, each one second after the one before and ten seconds long."""

    def __init__(self) -> None:
        self.id = f"{next(_traces):032x}"
        self.rows: list[dict[str, Any]] = []

    def span(self, parent: int, attributes: dict[str, str] | None = None, **changes: Any) -> int:
        number = len(self.rows) + 1
        start = START_NS + number * 10**9
        row = otlp_json.row(
            trace_id=self.id,
            span_id=f"{number:016x}",
            parent_id=f"{parent:016x}" if parent else "",
            start_ns=start,
            end_ns=start + 10 * 10**9,
            attributes=attributes,
        )
        self.rows.append(row | changes)
        return number

    def counted(self, store: Store, columns: str) -> list[tuple[Any, ...]]:
        store.insert("otel_traces", otlp_json.columns(self.rows))
        refresh.settle(store, timeout_s=60)
        return store.query(f"SELECT {columns} FROM actions WHERE action_id = '{self.id}'").rows


def test_of_nested_model_calls_only_the_innermost_counts(store: Store) -> None:
    trace = Trace()
    outer = trace.span(trace.span(0), LLM | {"llm.token_count.prompt": "30"})
    trace.span(outer, LLM | {"llm.token_count.prompt": "10"})
    trace.span(outer, LLM | {"llm.token_count.prompt": "20"})
    assert trace.counted(store, "model_calls, requests, input_tokens, wrapper_spans") == [(2, 2, 30, 1)]


def test_an_observed_call_is_not_counted_again_by_another_tracer_below_it(store: Store) -> None:
    trace = Trace()
    call = trace.span(trace.span(0), WIRE | {"fanlight.requests": "3", "gen_ai.usage.input_tokens": "10"})
    trace.span(call, LLM | {"llm.token_count.prompt": "10"}, ScopeName="openinference")
    found = trace.counted(
        store, "model_calls, requests, input_tokens, duplicate_spans, requests_observed_share"
    )
    assert found == [(1, 3, 10, 1, 1.0)]


def test_what_the_tracer_marked_as_a_layer_above_a_call_is_none(store: Store) -> None:
    trace = Trace()
    layer = {"fanlight.role": "wrapper", "gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": "10"}
    top = trace.span(0)
    trace.span(top, WIRE | {"fanlight.requests": "1", "gen_ai.usage.input_tokens": "10"})
    trace.span(top, layer)
    assert trace.counted(store, "model_calls, requests, input_tokens") == [(1, 1, 10)]


def test_a_trace_of_a_layer_above_calls_alone_is_no_action(store: Store) -> None:
    trace = Trace()
    trace.span(0, {"fanlight.role": "wrapper", "gen_ai.operation.name": "chat"})
    assert trace.counted(store, "model_calls") == []


def test_request_spans_add_nothing_to_a_call_that_has_its_own_span(store: Store) -> None:
    trace = Trace()
    call = trace.span(trace.span(0), WIRE | {"fanlight.requests": "2"})
    for resend in ("0", "1"):
        trace.span(call, {"fanlight.role": "request", "http.request.resend_count": resend})
    assert trace.counted(store, "model_calls, requests") == [(1, 2)]


def test_demand_stands_in_the_hour_of_each_request_and_the_call_in_that_of_the_last(store: Store) -> None:
    trace, hour_ns = Trace(), 3_600 * 10**9
    model = {"gen_ai.request.model": "crosses-an-hour", "gen_ai.usage.input_tokens": "10"}
    call = trace.span(trace.span(0), WIRE | model | {"fanlight.requests": "2"}, Duration=hour_ns)
    trace.span(call, {"fanlight.role": "request", "fanlight.request.outcome": "refused"})
    answered = {"fanlight.role": "request", "fanlight.request.outcome": "answered"}
    trace.span(call, answered, Timestamp=START_NS + hour_ns)
    trace.counted(store, "model_calls")
    found = store.query(
        "SELECT toUnixTimestamp(hour), calls, requests FROM gpu_demand_hourly"
        " WHERE model = 'crosses-an-hour' ORDER BY hour"
    )
    first_hour = START_NS // hour_ns * 3_600
    assert found.rows == [(first_hour, 0, 1), (first_hour + 3_600, 1, 1)]


def test_requests_stand_for_a_call_whose_span_never_came(store: Store) -> None:
    trace = Trace()
    trace.span(0)
    for outcome, tokens in (("refused", {}), ("answered", {"gen_ai.usage.input_tokens": "10"})):
        trace.span(77, {"fanlight.role": "request", "fanlight.request.outcome": outcome} | tokens)
    assert trace.counted(store, "model_calls, requests, input_tokens, orphans") == [(1, 2, 10, 2)]


def test_an_observed_call_without_a_request_has_none(store: Store) -> None:
    trace = Trace()
    trace.span(trace.span(0), WIRE)
    found = trace.counted(store, "model_calls, requests, requests_observed_share, input_tokens")
    assert found == [(1, 0, None, None)]


def test_what_a_gateway_sends_on_counts_instead_of_the_request_to_it(store: Store) -> None:
    trace = Trace()
    app = trace.span(trace.span(0), WIRE | {"fanlight.requests": "1", "gen_ai.usage.input_tokens": "10"})
    gateway = trace.span(app, {"http.route": "/v1/chat/completions"}, SpanKind="Server")
    for _ in range(2):
        trace.span(gateway, {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": "10"})
    found = trace.counted(store, "model_calls, requests, input_tokens, gateway_calls")
    assert found == [(2, 2, 20, 1)]


@pytest.mark.parametrize("step", [False, True], ids=["call", "step"])
def test_a_gateway_needs_no_span_of_its_server(store: Store, step: bool) -> None:
    """fanlight in the gateway writes none where the action goes on: it says that the parent is remote."""
    trace = Trace()
    sent = WIRE | {"fanlight.requests": "1", "gen_ai.usage.input_tokens": "10"}
    remote = {"fanlight.parent.remote": "true"}
    app = trace.span(trace.span(0), sent)
    if step:
        gateway = trace.span(trace.span(app, remote | {"fanlight.role": "tool"}), sent)
    else:
        gateway = trace.span(app, sent | remote)
    trace.span(gateway, LLM)  # of another tracer in the gateway
    found = trace.counted(store, "model_calls, requests, input_tokens, gateway_calls, duplicate_spans")
    assert found == [(1, 1, 10, 1, 1)]


def test_of_another_tracers_call_in_a_gateway_the_one_below_it_counts(store: Store) -> None:
    trace = Trace()
    sent = WIRE | {"fanlight.requests": "1", "gen_ai.usage.input_tokens": "10"}
    app = trace.span(trace.span(0), sent)
    trace.span(trace.span(app, LLM | {"fanlight.parent.remote": "true"}), sent)
    found = trace.counted(store, "model_calls, requests, input_tokens, gateway_calls, wrapper_spans")
    assert found == [(1, 1, 10, 1, 1)]


def test_calls_of_a_service_that_an_agent_asks_are_the_actions(store: Store) -> None:
    trace = Trace()
    sent = WIRE | {"fanlight.requests": "1", "gen_ai.usage.input_tokens": "10"}
    top = trace.span(0)
    trace.span(top, sent)
    tool = trace.span(top, {"fanlight.role": "tool"})
    for _ in range(2):
        trace.span(tool, sent | {"fanlight.parent.remote": "true"})
    assert trace.counted(store, "model_calls, requests, gateway_calls") == [(3, 3, 0)]


def test_an_engines_own_span_is_no_call_and_alone_no_action(store: Store) -> None:
    engine = {"gen_ai.operation.name": "chat", "gen_ai.usage.prompt_tokens": "10"}
    engine |= {"gen_ai.latency.time_in_queue": "0.5", "gen_ai.latency.time_in_model_decode": "2.5"}
    below, alone = Trace(), Trace()
    call = below.span(0, {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": "10"})
    below.span(call, engine, SpanKind="Server")
    alone.span(0, engine, SpanKind="Server")
    assert below.counted(store, "model_calls, requests, input_tokens") == [(1, 1, 10)]
    times = store.query(
        "SELECT server_queue_s, server_prefill_s, server_decode_s FROM model_calls"
        f" WHERE trace_id = '{below.id}'"
    )
    assert times.rows == [(0.5, None, 2.5)]
    assert alone.counted(store, "model_calls") == []


def test_two_libraries_beside_each_other_describe_one_call(store: Store) -> None:
    trace = Trace()
    root = trace.span(0)
    tokens = {"gen_ai.usage.input_tokens": "10", "gen_ai.request.model": "m"}
    for scope, response in (("sdk", {"gen_ai.response.id": "r-1"}), ("other", {})):
        trace.span(root, {"gen_ai.operation.name": "chat"} | tokens | response, ScopeName=scope)
    trace.span(
        root, {"gen_ai.operation.name": "chat"} | tokens | {"gen_ai.response.id": "r-2"}, ScopeName="sdk"
    )
    assert trace.counted(store, "model_calls, input_tokens, duplicate_spans") == [(2, 20, 1)]


def test_a_circle_of_parents_is_cut_at_its_earliest_span(store: Store) -> None:
    trace = Trace()
    agent = {"fanlight.role": "agent"}
    for parent in (3, 1, 2):
        trace.span(parent, agent)
    trace.span(3, WIRE | {"fanlight.requests": "1"})
    assert trace.counted(store, "depth, agent_steps, orphans, requests") == [(3, 3, 1, 1)]
    hops = store.query(f"SELECT hop FROM model_calls WHERE trace_id = '{trace.id}'")
    assert hops.rows == [(3,)]


def test_the_record_of_a_streams_usage_is_no_call_where_the_streams_span_is_a_wrapper(store: Store) -> None:
    """Logfire around a call that fanlight observed: the record of the usage lies beside Logfire's span."""
    trace = Trace()
    top = trace.span(0)
    told = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
    sent = WIRE | {"fanlight.requests": "1", "gen_ai.usage.input_tokens": "10"}
    until_headers = trace.span(top, told, ScopeName="logfire.openai", Duration=10**8)
    trace.span(until_headers, sent)
    usage = told | {"logfire.span_type": "log", "duration": "1.5", "gen_ai.usage.input_tokens": "10"}
    trace.span(top, usage, ScopeName="logfire.openai")
    found = trace.counted(store, "model_calls, requests, input_tokens, wrapper_spans")
    assert found == [(1, 1, 10, 1)]


def test_plain_web_requests_are_no_actions_and_declared_ones_count_with_zero_calls(store: Store) -> None:
    plain, declared = Trace(), Trace()
    plain.span(0, {"http.route": "/health"}, SpanKind="Server")
    declared.span(0, {"fanlight.role": "action", "fanlight.action.source": "declared"})
    assert plain.counted(store, "model_calls") == []
    assert declared.counted(store, "model_calls, requests, gpu_seconds") == [(0, 0, None)]


def test_a_trace_that_learns_its_action_late_leaves_nothing_behind(store: Store) -> None:
    trace, action_id = Trace(), f"{next(_traces) + 10**6:032x}"
    trace.span(trace.span(0), LLM | {"llm.token_count.prompt": "10"})
    assert trace.counted(store, "model_calls, input_tokens") == [(1, 10)]
    trace.rows.clear()
    late = {"fanlight.role": "action", "fanlight.action.id": action_id, "fanlight.action.source": "declared"}
    trace.span(0, late, SpanId=f"{9:016x}", Timestamp=START_NS - 2 * 3_600 * 10**9)
    assert trace.counted(store, "model_calls") == []
    found = store.query(
        f"SELECT model_calls, input_tokens, spans FROM actions WHERE action_id = '{action_id}'"
    )
    assert found.rows == [(1, 10, 3)]


def test_an_action_that_nobody_named_has_the_name_of_its_root(store: Store) -> None:
    named, renamed, parted = Trace(), Trace(), Trace()
    named.span(named.span(0, SpanName="POST /ask"), LLM)
    renamed.span(renamed.span(0, SpanName="POST /ask"), LLM | {"fanlight.action.name": "ask"})
    parted.span(parted.span(9, SpanName="worker"), LLM)  # the root is of a service that tells nothing
    assert named.counted(store, "action_name") == [("POST /ask",)]
    assert renamed.counted(store, "action_name") == [("ask",)]
    assert parted.counted(store, "action_name, has_root, orphans") == [("worker", False, 1)]


def test_an_action_is_open_until_its_root_has_ended(store: Store) -> None:
    trace = Trace()
    trace.span(trace.span(0), LLM)
    root, call = trace.rows
    started = root | {"Duration": 0}
    told = "open, has_root, model_calls, toUInt64(round(duration_s * 1e9)) - 11000000000"
    for arrives, expected in (
        (call, (True, False, 1, -(10**9))),
        (started, (True, True, 1, 0)),
        (root, (False, True, 1, -(10**9))),
    ):
        trace.rows = [arrives]
        assert trace.counted(store, told) == [expected]


def test_an_action_whose_process_died_is_not_open(store: Store) -> None:
    trace = Trace()
    trace.span(trace.span(0, {"error.type": "process_died"}, Duration=0, StatusCode="Error"), LLM)
    assert trace.counted(store, "open, has_root, model_calls") == [(False, True, 1)]


def test_a_span_that_ended_before_its_parent_began_is_skewed(store: Store) -> None:
    trace, second = Trace(), 10**9
    root = trace.span(0)
    start = trace.rows[0]["Timestamp"]
    trace.span(root, Timestamp=start - 5 * second)  # it began before its parent, and was there with it
    skewed = trace.span(root, LLM, Timestamp=start - 20 * second)
    trace.span(skewed, Timestamp=start + 900 * second)  # work that goes on when its parent is done
    found = trace.counted(
        store, "skewed_spans, toUnixTimestamp64Nano(started_at), toUInt64(round(duration_s))"
    )
    assert found == [(1, start, 10)]


def test_spans_that_a_process_lost_are_told_with_the_action(store: Store) -> None:
    trace = Trace()
    root = trace.span(0, {"fanlight.dropped_spans": "7"})
    trace.span(root, LLM | {"fanlight.dropped_spans": "3"})
    assert trace.counted(store, "dropped_spans, model_calls") == [(7, 1)]


def test_a_trace_whose_root_links_into_another_belongs_to_its_action(store: Store) -> None:
    asked, worker, batch = Trace(), Trace(), Trace()
    asked.span(asked.span(0), LLM)
    assert asked.counted(store, "model_calls, traces") == [(1, 1)]

    def linking_to(*traces: Trace) -> dict[str, Any]:
        each = {"SpanId": f"{1:016x}", "TraceState": "", "Attributes": {}}
        links = {f"Links.{name}": [value] * len(traces) for name, value in each.items()}
        return links | {"Links.TraceId": [trace.id for trace in traces]}

    worker.span(worker.span(0, **linking_to(asked)), LLM)
    batch.span(batch.span(0, **linking_to(asked, worker)), LLM)  # messages of several: of none
    assert worker.counted(store, "model_calls") == []
    assert batch.counted(store, "model_calls") == [(1,)]
    asked.rows.clear()
    asked.span(0, {"user.id": "u-late"}, SpanId=f"{7:016x}")
    assert asked.counted(store, "model_calls, traces, spans, user_id") == [(2, 2, 5, "u-late")]


def test_a_plain_trace_that_another_links_to_is_counted_when_it_comes(store: Store) -> None:
    entry, worker = Trace(), Trace()
    link = {"Links.TraceId": [entry.id], "Links.SpanId": [f"{1:016x}"]}
    worker.span(worker.span(0, **link, **{"Links.TraceState": [""], "Links.Attributes": [{}]}), LLM)
    worker.counted(store, "model_calls")
    entry.span(0, {"http.route": "/ask"}, SpanKind="Server", SpanName="POST /ask")
    assert entry.counted(store, "action_name, model_calls, spans, traces") == [("POST /ask", 1, 3, 2)]


def test_ids_of_calls_are_written_out_with_their_leading_zeros(store: Store) -> None:
    trace = Trace()
    call = trace.span(trace.span(0), LLM)
    trace.counted(store, "model_calls")
    found = store.query(f"SELECT span_id, parent_span_id FROM model_calls WHERE trace_id = '{trace.id}'").rows
    assert found == [(f"{call:016x}", f"{1:016x}")]


def test_a_call_belongs_to_the_nearest_agent_with_a_name_above_it(store: Store) -> None:
    trace, agent = Trace(), {"openinference.span.kind": "AGENT"}
    planner = trace.span(trace.span(0), agent | {"agent.name": "planner"})
    nameless = trace.span(trace.span(planner, {"openinference.span.kind": "TOOL"}), agent)
    trace.span(nameless, LLM)
    trace.span(trace.span(nameless, agent | {"agent.name": "searcher"}), LLM | {"agent.name": "own"})
    trace.span(1, LLM | {"agent.name": "own"})
    trace.span(1, LLM)
    trace.counted(store, "model_calls")
    found = store.query(
        f"SELECT agent_name FROM model_calls WHERE trace_id = '{trace.id}' ORDER BY started_at"
    )
    assert [row[0] for row in found.rows] == ["planner", "searcher", "own", ""]


def test_every_column_of_the_public_views_says_what_it_is(store: Store) -> None:
    views = ("model_calls", "actions", "fanout_by_action", "fanout_by_user", "fanout_hourly")
    for view in (*views, "gpu_demand_by_user", "gpu_demand_hourly"):
        silent = [row[0] for row in store.query(f"DESCRIBE TABLE {view}").rows if not row[4]]
        assert silent == [], view


def test_a_build_that_was_cut_off_before_its_end_is_done_again(store: Store) -> None:
    for view in (refresh.PICK, refresh.BUILD):
        store.command(f"SYSTEM STOP VIEW {view}")
    trace = Trace()
    trace.span(trace.span(0), LLM | {"llm.token_count.prompt": "10"})
    store.insert("otel_traces", otlp_json.columns(trace.rows))
    # A build is opened, and of its rows only a wrong one is written before the end.
    store.command(
        "INSERT INTO picked SELECT toUnixTimestamp64Micro(now64(6)), trace_id, mark, now() FROM touched"
        " GROUP BY trace_id, mark HAVING sum(sign) > 0"
    )
    store.command(
        "INSERT INTO cascades (action_id, started_at, build, user_id)"
        f" SELECT unhex('{trace.id}'), fromUnixTimestamp64Nano({START_NS}), max(build) + 1, 'nobody'"
        " FROM picked"
    )
    for view in (refresh.PICK, refresh.BUILD):
        store.command(f"SYSTEM START VIEW {view}")
    assert refresh.pending_traces(store) == 1
    trace.rows.clear()
    trace.span(0, {"user.id": "u-1"}, SpanId=f"{3:016x}")
    assert trace.counted(store, "model_calls, input_tokens, spans, user_id") == [(1, 10, 3, "u-1")]
    assert refresh.pending_traces(store) == 0
