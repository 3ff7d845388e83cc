"""Actions across threads, queues, HTTP and processes."""

import asyncio
import contextvars
import json
import subprocess
import sys
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, context, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import fanlight
from fanlight._baggage import MAX_HEADER_BYTES, format_baggage, parse_baggage
from fanlight.testing import Captured
from fanlight_schema import attributes as names
from otlp_receiver import OtlpReceiver, attributes_of

ACTION_ID = "0123456789abcdef0123456789abcdef"
TRACEPARENT = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01"


def tool_span(spans: Captured) -> dict[str, object]:
    with fanlight.tool("t"):
        pass
    return dict(spans.spans[-1].attributes)


def test_carrier_names_the_action_and_the_current_span(spans: Captured) -> None:
    with fanlight.action("ask & answer", user="Zoë, 42", session="s=1", origin="agent"), fanlight.agent("a"):
        headers = fanlight.carrier()
    root, agent = spans.named("ask & answer"), spans.named("invoke_agent a")
    assert headers == {
        "traceparent": f"00-{root.trace_id}-{agent.span_id}-01",
        "baggage": f"fanlight.action.id={root.trace_id},fanlight.action.origin=agent,"
        "fanlight.action.source=declared,fanlight.workload=serving,fanlight.hop=1,"
        "user.id=Zo%C3%AB%2C%2042,session.id=s%3D1,fanlight.action.name=ask%20%26%20answer",
    }


def test_resumed_work_is_part_of_the_action(spans: Captured) -> None:
    with fanlight.action("answer", user="Zoë, 42", session="s=1", workload="eval"), fanlight.agent("a"):
        headers = fanlight.carrier()
    with fanlight.resume(headers), fanlight.tool("t"):
        pass
    agent, tool = spans.named("invoke_agent a"), spans.named("execute_tool t")
    assert (tool.trace_id, tool.parent_span_id) == (agent.trace_id, agent.span_id)
    assert tool.attributes[names.HOP] == 1
    for key in (
        names.ACTION_ID,
        names.ACTION_NAME,
        names.ACTION_SOURCE,
        names.WORKLOAD,
        names.USER_ID,
        names.SESSION_ID,
    ):
        assert tool.attributes[key] == agent.attributes[key]


def test_action_in_a_service_that_received_one_is_a_step_of_it(spans: Captured) -> None:
    headers = {"traceparent": TRACEPARENT, "baggage": f"fanlight.action.id={ACTION_ID}"}
    with fanlight.resume(headers), fanlight.action("inner"):
        pass
    span = spans.named("invoke_agent inner")
    assert span.attributes[names.ACTION_ID] == ACTION_ID
    assert span.parent_span_id == "b" * 16


def test_baggage_that_another_instrumentation_extracted_is_the_action(spans: Captured) -> None:
    token = context.attach(baggage.set_baggage("fanlight.action.id", ACTION_ID))
    try:
        assert tool_span(spans)[names.ACTION_ID] == ACTION_ID
    finally:
        context.detach(token)


def test_user_set_before_the_first_span_of_a_received_action_is_kept(spans: Captured) -> None:
    token = context.attach(baggage.set_baggage("fanlight.action.id", ACTION_ID))
    try:
        fanlight.set_user("u-42")
        assert tool_span(spans)[names.USER_ID] == "u-42"
    finally:
        context.detach(token)


def test_resumed_action_whose_record_is_alive_here_shares_its_user(spans: Captured) -> None:
    with fanlight.action("answer"):
        headers = fanlight.carrier()

        def work() -> None:
            with fanlight.resume(headers):
                fanlight.set_user("u-42")

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert spans.named("answer").attributes[names.USER_ID] == "u-42"


def test_trace_without_an_action_is_resumed_as_a_trace(spans: Captured) -> None:
    with fanlight.resume({"TRACEPARENT": TRACEPARENT}):
        attributes = tool_span(spans)
    assert attributes[names.ACTION_ID] == "a" * 32
    assert attributes[names.ACTION_SOURCE] == "inferred"


def test_headers_of_message_queues_are_understood(spans: Captured) -> None:
    pairs = [("traceparent", TRACEPARENT.encode()), ("Baggage", f"fanlight.action.id={ACTION_ID}".encode())]
    with fanlight.resume(pairs):
        assert tool_span(spans)[names.ACTION_ID] == ACTION_ID


def test_apps_own_baggage_goes_along_and_ours_stays_out_of_opentelemetrys(spans: Captured) -> None:
    token = context.attach(baggage.set_baggage("tenant", "acme"))
    with fanlight.action("answer", user="u-1"):
        headers = fanlight.carrier()
        assert baggage.get_all() == {"tenant": "acme"}
    context.detach(token)
    with fanlight.resume(headers):
        assert baggage.get_all() == {"tenant": "acme"}


def test_context_outside_resume_is_as_before(spans: Captured) -> None:
    with fanlight.action("answer"):
        before = context.get_current()
        with fanlight.resume({"traceparent": TRACEPARENT}):
            assert context.get_current() is not before
        assert context.get_current() is before


@pytest.mark.parametrize(
    "value",
    ["", "=", ",,,;", "fanlight.action.id", "fanlight.action.id=" + "0" * 32, "fanlight.action.id=XYZ"],
)
def test_baggage_that_names_no_action_changes_nothing(spans: Captured, value: str) -> None:
    with fanlight.resume({"baggage": value}):
        attributes = tool_span(spans)
    assert attributes[names.ACTION_SOURCE] == "inferred"


def test_hostile_members_are_cut_or_left_out(spans: Captured) -> None:
    members = {
        names.ACTION_ID: ACTION_ID,
        names.ACTION_ORIGIN: "root",
        names.WORKLOAD: "bitcoin",
        names.ACTION_SOURCE: "x",
        names.HOP: "-7",
        names.USER_ID: "u\r\n" + "x" * 2_000,
    }
    header = ",".join(f"{key}={quote(value)}" for key, value in members.items())
    with fanlight.resume({"baggage": header, "traceparent": "00-zz-zz-01"}):
        attributes = tool_span(spans)
    assert attributes[names.ACTION_ORIGIN] == "user"
    assert attributes[names.WORKLOAD] == "serving"
    assert attributes[names.ACTION_SOURCE] == "declared"
    assert attributes[names.HOP] == 0
    assert attributes[names.USER_ID] == "u" + "x" * 255


@given(st.text(), st.text())
def test_no_header_can_break_resume(traceparent: str, header: str) -> None:
    with fanlight.resume({"traceparent": traceparent, "baggage": header}):
        assert fanlight.carrier() is not None


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=80))
def test_baggage_header_stays_in_the_limits_and_reads_back(members: dict[str, str]) -> None:
    header = format_baggage(members.items())
    assert len(header) <= MAX_HEADER_BYTES
    kept = parse_baggage(header)
    assert kept.items() <= members.items()
    assert kept or not members or len(header) == 0


@pytest.mark.parametrize("headers", [None, {}, [], {"x": "y"}])
def test_nothing_to_resume_changes_nothing(spans: Captured, headers: dict[str, str] | None) -> None:
    with fanlight.action("answer"), fanlight.resume(headers), fanlight.tool("t"):
        pass
    assert [tree.shape() for tree in spans.trees()] == [("answer", ["execute_tool t"])]


async def test_to_thread_and_copied_contexts_keep_the_action(spans: Captured) -> None:
    def work(name: str) -> None:
        with fanlight.tool(name):
            pass

    with fanlight.action("answer"), ThreadPoolExecutor() as pool:
        await asyncio.to_thread(work, "a")
        pool.submit(contextvars.copy_context().run, work, "b").result()
    assert [tree.shape() for tree in spans.trees()] == [("answer", ["execute_tool a", "execute_tool b"])]


def test_action_crosses_http_between_two_services(spans: Captured) -> None:
    class Service(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with fanlight.resume(self.headers), fanlight.action("serve"), fanlight.tool("look_up"):
                pass
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        with fanlight.action("answer", user="u-42"):
            request = urllib.request.Request(
                f"http://127.0.0.1:{server.server_port}", headers=fanlight.carrier()
            )
            urllib.request.urlopen(request).close()
        server.shutdown()
    assert [tree.shape() for tree in spans.trees()] == [
        ("answer", [("invoke_agent serve", ["execute_tool look_up"])])
    ]
    assert spans.named("execute_tool look_up").attributes[names.USER_ID] == "u-42"


SUB_AGENT = """
import json, sys
import fanlight
fanlight.instrument()
with fanlight.resume(json.loads(sys.argv[1])), fanlight.agent("sub"):
    pass
"""


def test_action_crosses_a_subprocess(collector: OtlpReceiver) -> None:
    fanlight.instrument()
    with fanlight.action("answer", user="u-42"):
        subprocess.run([sys.executable, "-c", SUB_AGENT, json.dumps(fanlight.carrier())], check=True)
    assert fanlight.flush()
    by_name = {span.name: span for span in collector.wait_for(2)}
    root, sub = by_name["answer"], by_name["invoke_agent sub"]
    assert (sub.trace_id, sub.parent_span_id) == (root.trace_id, root.span_id)
    assert attributes_of(sub)[names.ACTION_ID] == root.trace_id.hex()
    assert attributes_of(sub)[names.USER_ID] == "u-42"


def test_traceparent_is_what_opentelemetry_writes(spans: Captured) -> None:
    with fanlight.action("answer"):
        official: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(official)
        assert fanlight.carrier()["traceparent"] == official["traceparent"]
        assert trace.get_current_span().get_span_context().trace_flags.sampled
