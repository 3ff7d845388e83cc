"""The exporter against a real OTLP server that is well, slow, refusing, or not there."""

import enum
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

import fanlight
from fanlight._export import ExportCounts, ExportSink
from fanlight._outcome import Outcome
from fanlight._runtime import runtime
from fanlight._spans import start_span, suppressed
from otlp_receiver import Fault, OtlpReceiver, attributes_of

TLS = Path(__file__).parents[1] / "support" / "tls"


def sink() -> ExportSink:
    assert isinstance(runtime.sink, ExportSink)
    return runtime.sink


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def record(count: int, name: str = "s") -> None:
    for _ in range(count):
        start_span(name, "tool").end()


def test_spans_arrive_without_being_asked_for(
    collector: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    fanlight.instrument()
    record(3)
    collector.wait_for(3, timeout_s=2)
    assert runtime.export_url == f"{collector.url}/v1/traces"


def test_encoded_span_is_what_the_official_classes_read(collector: OtlpReceiver) -> None:
    fanlight.instrument()
    attributes = {
        "text": "Zoë",
        "long": "x" * 5_000,
        "broken": "\ud800",
        "small": 7,
        "large": 2**40,
        "negative": -3,
        "flag": True,
        "share": 0.25,
        "many": ["a", "b"],
        "numbers": (1, 2_000_000, -1),
        "empty": "",
    }
    span = start_span("chat encoded", "call", attributes=attributes, start_time_ns=1_000)
    span.set("too large for OTLP", 2**64)
    span.error("timeout", "after 3 s")
    span.end(end_time=2_500)
    assert fanlight.flush()
    (got,) = collector.spans
    found = attributes_of(got)
    assert {key: found.get(key) for key in attributes} == {
        **attributes,
        "broken": "?",
        "many": ["a", "b"],
        "numbers": [1, 2_000_000, -1],
    }
    assert "too large for OTLP" not in found
    assert found["error.type"] == "timeout"
    assert (got.name, got.kind, got.flags) == ("chat encoded", 1, 0x101)
    assert (got.start_time_unix_nano, got.end_time_unix_nano) == (1_000, 2_500)
    assert (got.status.code, got.status.message) == (2, "after 3 s")
    assert (len(got.trace_id), len(got.span_id), got.parent_span_id) == (16, 8, b"")


class Word(str, enum.Enum):
    """Equal to its value, in a cache too; `str` of it is not."""

    KEY = "app.key"
    VALUE = "value"


def test_texts_that_are_enums_are_their_values_and_change_no_others(collector: OtlpReceiver) -> None:
    fanlight.instrument()
    for key, value in ((Word.KEY, Word.VALUE), ("app.key", "value")):
        start_span("chat m", "call", attributes={key: value, "many": (value,)}).end()
    assert fanlight.flush()
    found = [attributes_of(span) for span in collector.spans]
    assert [(one["app.key"], one["many"]) for one in found] == [("value", ["value"])] * 2


def test_request_carries_resource_scope_headers_and_gzip(
    collector: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=prod,team=a%20b")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20t0ken")
    fanlight.instrument()
    record(50)
    assert fanlight.flush()
    (received,) = collector.requests
    assert received.headers["authorization"] == "Bearer t0ken"
    assert received.headers["content-type"] == "application/x-protobuf"
    assert received.headers["content-encoding"] == "gzip"
    (resource_spans,) = received.request.resource_spans
    resource = {pair.key: pair.value.string_value for pair in resource_spans.resource.attributes}
    assert resource["service.name"] == "shop"
    assert resource["deployment.environment"] == "prod"
    assert resource["team"] == "a b"
    (scope_spans,) = resource_spans.scope_spans
    assert (scope_spans.scope.name, scope_spans.scope.version) == ("fanlight", fanlight.__version__)


def test_instrument_twice_is_once(collector: OtlpReceiver) -> None:
    fanlight.instrument()
    first = runtime.sink
    fanlight.instrument()
    assert runtime.sink is first
    record(1)
    assert fanlight.flush()
    assert collector.names == ["s"]


def test_uninstrument_delivers_and_stops(collector: OtlpReceiver) -> None:
    fanlight.instrument()
    record(1)
    fanlight.uninstrument()
    record(1)
    assert collector.names == ["s"]
    fanlight.instrument()
    record(1, "again")
    assert fanlight.flush()
    assert collector.names == ["s", "again"]


@pytest.mark.parametrize("variable", ["OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER"])
def test_opentelemetrys_switches_are_honoured(
    collector: OtlpReceiver, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "none"}[variable])
    fanlight.instrument()
    record(1)
    assert fanlight.flush()
    assert collector.spans == []


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_busy_collector_gets_the_spans_once_it_is_well(collector: OtlpReceiver, status: int) -> None:
    collector.answer(status, times=2)
    fanlight.instrument()
    record(10)
    assert fanlight.flush(timeout_s=5)
    assert len(collector.spans) == 10
    assert sink().counts == ExportCounts(ended=10, delivered=10)


def test_refused_batch_is_counted_and_not_sent_again(
    collector: OtlpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    collector.answer(400)
    fanlight.instrument()
    record(10)
    assert fanlight.flush()
    record(5)
    assert fanlight.flush()
    assert len(collector.spans) == 5
    assert sink().counts == ExportCounts(ended=15, delivered=5, rejected=10)
    assert [message for message in caplog.messages if "rejected" in message] == [
        "fanlight: the collector rejected 10 spans (HTTP 400 Bad Request)"
    ]


def test_collector_that_asks_for_a_token_is_said_with_the_variable_that_gives_it(
    collector: OtlpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    collector.answer(401)
    fanlight.instrument()
    record(1)
    assert fanlight.flush()
    assert caplog.messages == [
        "fanlight: the collector rejected 1 spans (HTTP 401 Unauthorized; "
        'set OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer <its token>")'
    ]


def test_login_in_the_collector_s_url_is_not_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://ann:secret@127.0.0.1:{port}")
    fanlight.instrument()
    record(1)
    fanlight.shutdown()
    assert f"nothing listens at http://127.0.0.1:{port} (" in caplog.messages[0]
    assert "secret" not in caplog.text


def test_partial_success_is_counted(collector: OtlpReceiver) -> None:
    collector.reject(300)
    fanlight.instrument()
    record(1_000)
    assert fanlight.flush()
    assert sink().counts == ExportCounts(ended=1_000, delivered=700, rejected=300)


def test_too_large_batch_is_sent_in_smaller_ones(collector: OtlpReceiver) -> None:
    collector.answer(413, times=2)
    fanlight.instrument()
    record(200)
    assert fanlight.flush()
    assert len(collector.spans) == 200
    assert len(collector.requests) >= 4


def test_app_never_waits_for_a_slow_collector(collector: OtlpReceiver) -> None:
    collector.always(Fault(delay_s=0.5))
    fanlight.instrument()
    record(2_000)  # wakes the exporter, which is then stuck
    longest_s = 0.0
    for _ in range(2_000):
        began = time.perf_counter()
        record(1)
        longest_s = max(longest_s, time.perf_counter() - began)
    assert longest_s < 0.25
    collector.always(None)
    assert fanlight.flush(timeout_s=10)
    assert len(collector.spans) == 4_000


def test_spans_that_were_lost_are_counted_on_their_action_and_on_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("FANLIGHT_QUEUE_LIMIT_BYTES", "20000")
    monkeypatch.setenv("FANLIGHT_SPOOL", "false")
    fanlight.instrument()
    with fanlight.action("large"):
        record(500)
        lost = sink().counts.dropped
        assert 400 < lost < 500
        with OtlpReceiver(port) as receiver:
            assert fanlight.flush(timeout_s=20)
            with fanlight.tool("last"):
                pass
            with fanlight.action("other", new=True):
                pass
            assert fanlight.flush(timeout_s=20)
    kept = {span.name: attributes_of(span).get("fanlight.dropped_spans") for span in receiver.spans}
    assert kept == {"s": None, "execute_tool last": lost, "other": None}
    resources = [request.request.resource_spans[0].resource for request in receiver.requests]
    told = [pair.value.int_value for pair in resources[-1].attributes if pair.key == "fanlight.dropped_spans"]
    assert told == [lost]


def test_burst_of_100_000_spans_arrives_whole(collector: OtlpReceiver) -> None:
    fanlight.instrument()
    with fanlight.action("burst", user="u-42"):
        for number in range(100_000):
            start_span("chat gpt-4o", "call", attributes={"gen_ai.usage.input_tokens": number}).end()
    assert fanlight.flush(timeout_s=60)
    assert sink().counts == ExportCounts(ended=100_001, delivered=100_001)
    assert len({span.span_id for span in collector.spans}) == 100_001


def test_memory_is_bounded_in_bytes_and_the_rest_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("FANLIGHT_QUEUE_LIMIT_BYTES", "100000")
    monkeypatch.setenv("FANLIGHT_SPOOL", "false")
    fanlight.instrument()
    record(5_000)
    counts = sink().counts
    assert counts.ended == 5_000
    assert 4_000 < counts.dropped < 5_000
    assert sink().queued_bytes <= 100_000


@pytest.mark.parametrize(("spool", "kept"), [("true", "spooled"), ("false", "dropped")])
def test_nobody_listening_costs_no_time_at_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, spool: str, kept: str
) -> None:
    monkeypatch.setenv("FANLIGHT_SPOOL", spool)
    url = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    fanlight.instrument()
    record(10)
    counts = sink().counts
    began = time.perf_counter()
    assert fanlight.shutdown() is False
    assert time.perf_counter() - began < 0.5
    assert counts == ExportCounts(ended=10, **{kept: 10})
    assert len(caplog.messages) == 2
    assert caplog.messages[0].startswith(f"fanlight: nothing listens at {url} (ConnectionRefusedError: ")
    assert "`fanlight up` starts a collector" in caplog.messages[0]
    lost = "fanlight: 10 spans could not be delivered before the process ended"
    assert caplog.messages[1].startswith(lost)
    assert ("they are in the spool" in caplog.messages[1]) is (kept == "spooled")


def test_hanging_collector_holds_the_end_for_its_timeout_only(
    collector: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FANLIGHT_SHUTDOWN_TIMEOUT_S", "0.5")
    collector.always(Fault(delay_s=5))
    fanlight.instrument()
    record(10)
    began = time.perf_counter()
    assert fanlight.shutdown() is False
    assert time.perf_counter() - began < 1.5


def test_collector_that_answers_in_drips_holds_the_end_for_its_timeout_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            with suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    for _ in range(50):
                        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                        time.sleep(0.1)

        threading.Thread(target=drip, daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        fanlight.instrument()
        record(10)
        began = time.perf_counter()
        assert fanlight.shutdown(timeout_s=0.5) is False
        assert time.perf_counter() - began < 1.5


def test_dead_collector_is_not_asked_again_for_every_span(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    class Nobody:
        def send(self, payload: bytes, timeout_s: float) -> Outcome:
            asked.append(timeout_s)
            return Outcome("unreachable")

        def close(self) -> None:
            return

    made = ExportSink(Nobody, dict, ("fanlight", "0"), queue_limit_bytes=10**8, interval_s=0.01, timeout_s=1)
    runtime.on, runtime.sink = True, made
    record(20_000)
    assert made.queued_bytes > 2 * 2**20
    assert len(asked) < 10


def test_collector_that_comes_late_gets_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    fanlight.instrument()
    record(10)
    time.sleep(0.2)
    with OtlpReceiver(port) as receiver:
        record(10)
        receiver.wait_for(20, timeout_s=5)
    assert sink().counts.dropped == 0


def test_idle_connection_that_the_collector_closed_loses_nothing(collector: OtlpReceiver) -> None:
    fanlight.instrument()
    record(1)
    assert fanlight.flush()
    collector.drop_connections()
    record(1)
    assert fanlight.flush()
    assert len(collector.spans) == 2


def test_proxy_of_the_environment_is_used(collector: OtlpReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.example:4318")
    monkeypatch.setenv("http_proxy", collector.url.replace("//", "//me:p%40ss@"))
    monkeypatch.delenv("no_proxy", raising=False)
    fanlight.instrument()
    record(1)
    assert fanlight.flush()
    (received,) = collector.requests
    assert received.target == "http://collector.example:4318/v1/traces"
    assert received.headers["host"] == "collector.example:4318"
    assert received.headers["proxy-authorization"] == "Basic bWU6cEBzcw=="  # me:p@ss


def test_proxy_is_not_used_for_this_machine(collector: OtlpReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    fanlight.instrument()
    record(1)
    assert fanlight.flush()
    assert collector.requests[0].target == "/v1/traces"


def test_certificate_of_the_variables_is_trusted_and_no_other(
    collector: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Made by openssl for DNS:localhost, self-signed; used by nothing but this test.
    certificate, key = TLS / "localhost.crt", TLS / "localhost.key"
    collector.serve_tls(certificate, key)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"https://localhost:{collector.port}")
    fanlight.instrument()
    record(1)
    assert fanlight.flush(timeout_s=0.2) is False
    fanlight.shutdown()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(certificate))
    fanlight.instrument()
    record(1, "trusted")
    assert fanlight.flush()
    assert collector.names == ["trusted"]


def test_export_is_not_traced(collector: OtlpReceiver) -> None:
    seen: list[bool] = []

    class Spy:
        def send(self, payload: bytes, timeout_s: float) -> Outcome:
            seen.append(suppressed())
            return Outcome("delivered")

        def close(self) -> None:
            return

    made = ExportSink(Spy, dict, ("fanlight", "0"), queue_limit_bytes=10**6, interval_s=0.01, timeout_s=1)
    runtime.on, runtime.sink = True, made
    record(1)
    while not seen:
        time.sleep(0.005)
    record(1)
    assert fanlight.flush()
    assert seen[0] is True
    assert seen[-1] is True
    assert suppressed() is False


def test_threads_lose_nothing(collector: OtlpReceiver) -> None:
    fanlight.instrument()
    threads = [threading.Thread(target=record, args=(2_000,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fanlight.flush(timeout_s=20)
    assert sink().counts == ExportCounts(ended=16_000, delivered=16_000)
