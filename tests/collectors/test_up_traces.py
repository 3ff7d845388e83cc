"""POST /v1/traces of a real `fanlight up` over loopback, with the embedded engine behind it."""

import gzip
import json
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from otlp_requests import make_request, make_span, to_json
from up_process import Up, running_up

JSON = "application/json"
MIB = 2**20


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    with running_up() as server:
        yield server


def body_of(service: str, spans: int = 1) -> bytes:
    return make_request([make_span(number) for number in range(spans)], service).SerializeToString()


def stored(up: Up, service: str) -> int:
    return int(up.rows(f"SELECT count() FROM otel_traces WHERE ServiceName = '{service}'")[0][0])


def test_rows_are_there_when_200_is_answered(up: Up) -> None:
    for number in range(5):
        answer = up.post(body_of("at-once", 3))
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-type"] == "application/x-protobuf"
        assert stored(up, "at-once") == 3 * (number + 1)


def test_json_is_answered_in_json(up: Up) -> None:
    request = make_request([make_span()], "in-json")
    answer = up.post(json.dumps(to_json(request)).encode(), f"{JSON}; charset=utf-8")
    assert (answer.status_code, answer.json()) == (200, {})
    assert stored(up, "in-json") == 1


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)]
)
def test_compressed_body_is_read(up: Up, encoding: str, pack: object) -> None:
    assert callable(pack)
    answer = up.post(pack(body_of(f"as-{encoding}", 2)), content_encoding=encoding)
    assert answer.status_code == 200
    assert stored(up, f"as-{encoding}") == 2


def test_gzip_of_two_members_is_one_body(up: Up) -> None:
    first, second = body_of("members", 1), body_of("members", 2)
    answer = up.post(gzip.compress(first) + gzip.compress(second), content_encoding="gzip")
    assert answer.status_code == 200
    assert stored(up, "members") == 3


def test_opentelemetrys_own_exporter_delivers(up: Up) -> None:
    exporter = OTLPSpanExporter(f"{up.url}/v1/traces", compression=Compression.Gzip)
    provider = TracerProvider(resource=Resource({"service.name": "real-exporter"}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("t", "1")
    with tracer.start_as_current_span("parent", attributes={"list": ["a", "b"], "n": 1}) as span:
        span.add_event("e", {"x": 1.5})
        with tracer.start_as_current_span("child"):
            pass
    assert provider.force_flush()
    provider.shutdown()
    [row] = up.rows(
        "SELECT SpanAttributes['list'], SpanAttributes['n'], Events.Name, ScopeName FROM otel_traces"
        " WHERE ServiceName = 'real-exporter' AND SpanName = 'parent'"
    )
    assert row == ['["a","b"]', "1", ["e"], "t"]
    assert stored(up, "real-exporter") == 2


def test_bad_spans_are_named_in_partial_success_and_counted(up: Up) -> None:
    bad = [make_span(2, trace_id=bytes(16)), make_span(3, span_id=b"x")]
    answer = up.post(make_request([make_span(1), *bad, make_span(4)], "partly").SerializeToString())
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert answer.status_code == 200
    assert partial.rejected_spans == 2
    assert "1 invalid_span_id, 1 invalid_trace_id" in partial.error_message
    assert stored(up, "partly") == 2
    rejects = up.rows(
        "SELECT reason, count, source FROM ingest_rejects WHERE detail LIKE '%partly%' ORDER BY reason"
    )
    assert rejects == [["invalid_span_id", 1, "otlp"], ["invalid_trace_id", 1, "otlp"]]


def test_repaired_spans_are_a_warning_in_partial_success(up: Up) -> None:
    span = make_span()
    span.end_time_unix_nano = span.start_time_unix_nano - 1
    answer = up.post(json.dumps(to_json(make_request([span], "repaired"))).encode(), JSON)
    assert answer.json() == {
        "partialSuccess": {"rejectedSpans": "0", "errorMessage": "stored after repair: 1 negative_duration"}
    }
    assert stored(up, "repaired") == 1


def test_batch_over_400_days_is_stored_whole(up: Up) -> None:
    day_ns, now_ns = 86_400 * 10**9, time.time_ns()
    spans = [
        make_span(
            number, start_time_unix_nano=now_ns - number * day_ns, end_time_unix_nano=now_ns - number * day_ns
        )
        for number in range(1, 401)
    ]
    assert up.post(make_request(spans, "many-days").SerializeToString()).status_code == 200


@pytest.mark.parametrize(
    ("body", "content_type", "encoding"),
    [
        (b"\xff\xff\xff", "application/x-protobuf", ""),
        (body_of("cut")[:-2], "application/x-protobuf", ""),
        (b"{", JSON, ""),
        (b"", JSON, ""),
        (b"[1]", JSON, ""),
        (b"not gzip", "application/x-protobuf", "gzip"),
        (gzip.compress(body_of("cut"))[:-4], "application/x-protobuf", "gzip"),
    ],
)
def test_malformed_body_is_400_with_a_status_in_its_own_encoding(
    up: Up, body: bytes, content_type: str, encoding: str
) -> None:
    answer = up.post(body, content_type, content_encoding=encoding)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == content_type
    if content_type == JSON:
        assert answer.json()["code"] == 3  # INVALID_ARGUMENT
        assert answer.json()["message"]
    else:
        status = Status.FromString(answer.content)
        assert status.code == 3
        assert status.message


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_content_types_that_a_page_may_send_are_415(up: Up, content_type: str) -> None:
    answer = up.post(body_of("form"), content_type)
    assert answer.status_code == 415
    assert "access-control-allow-origin" not in answer.headers
    assert stored(up, "form") == 0


def test_unknown_content_encoding_is_415(up: Up) -> None:
    assert up.post(body_of("br"), content_encoding="br").status_code == 415


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_405_without_cors(up: Up, method: str) -> None:
    answer = up.request(method, "/v1/traces", headers={"origin": up.url})
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/v1/metrics", "/v1/logs"])
def test_metrics_and_logs_are_404_with_what_to_do(up: Up, path: str) -> None:
    answer = up.request("POST", path, content=b"{}", headers={"content-type": JSON})
    assert answer.status_code == 404  # not retryable by OTLP
    assert "OTEL_METRICS_EXPORTER=none" in answer.json()["message"]


def test_body_over_20_mib_is_413_and_the_client_reads_it(up: Up) -> None:
    for answer in (up.post(bytes(20 * MIB + 1)), up.post(bytes(20 * MIB + 1), JSON)):
        assert answer.status_code == 413
        assert b"more than 20 MiB; send smaller batches" in answer.content
    chunks = (bytes(MIB) for _ in range(30))
    with_no_length = up.request(
        "POST", "/v1/traces", content=chunks, headers={"content-type": "application/x-protobuf"}
    )
    assert with_no_length.status_code == 413


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_bomb_is_413_and_is_never_inflated(up: Up, encoding: str) -> None:
    packer = zlib.compressobj(1, wbits=31 if encoding == "gzip" else 15)
    zeros = bytes(16 * MIB)
    bomb = b"".join(packer.compress(zeros) for _ in range(20)) + packer.flush()  # 320 MiB in 1.5
    before = memory_bytes(up)
    assert up.post(bomb, content_encoding=encoding).status_code == 413
    assert memory_bytes(up) - before < 100 * MIB


def memory_bytes(up: Up) -> int:
    """The most that the process ever held (VmHWM)."""
    with open(f"/proc/{up.process.pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def test_body_of_almost_20_mib_is_taken(up: Up) -> None:
    spans = [make_span(number, attributes={"prompt": "x" * (MIB - 100)}) for number in range(19)]
    assert up.post(make_request(spans, "large").SerializeToString()).status_code == 200
    assert stored(up, "large") == 19


def test_host_that_is_not_ours_is_refused(up: Up) -> None:
    for headers in ({"host": "evil.example"}, {"origin": "http://evil.example"}, {"origin": "null"}):
        assert up.post(body_of("rebound"), **headers).status_code == 403
    assert up.post(body_of("local"), host="localhost:4318").status_code == 200
    assert stored(up, "rebound") == 0


def test_half_a_request_harms_nobody(up: Up) -> None:
    port = int(up.url.rpartition(":")[2])
    for sent in (b"POST /v1/traces HTTP/1.1\r\n", b"\x16\x03\x01nonsense\r\n\r\n", _unfinished_post()):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(sent)
    assert up.post(body_of("after")).status_code == 200
    assert stored(up, "after") == 1


def _unfinished_post(length: int = 99, body: bytes = b"{") -> bytes:
    head = f"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: {JSON}\r\nContent-Length: {length}"
    return f"{head}\r\n\r\n".encode() + body


def test_many_small_requests_share_inserts(up: Up) -> None:
    before = up.request("GET", "/healthz").json()["counts"]["inserts"]
    with ThreadPoolExecutor(40) as clients:
        answers = list(clients.map(lambda number: up.post(body_of("many", 1 + number % 5)), range(300)))
    assert {answer.status_code for answer in answers} == {200}
    assert stored(up, "many") == sum(1 + number % 5 for number in range(300))
    assert up.request("GET", "/healthz").json()["counts"]["inserts"] - before < 100


def test_queue_that_is_full_tells_senders_to_come_back() -> None:
    with running_up(queue_bytes=20 * MIB) as small:
        spans = [make_span(number, attributes={"prompt": "x" * MIB}) for number in range(6)]
        body = make_request(spans, "later").SerializeToString()
        with socket.create_connection(("127.0.0.1", int(small.url.rpartition(":")[2]))) as slow:
            slow.sendall(_unfinished_post(19 * MIB, bytes(18 * MIB)))
            wait_for(lambda: small.post(body).status_code == 429)
            answer = small.post(body)
            assert answer.headers["retry-after"] == "1"
            assert "come back" in Status.FromString(answer.content).message
        wait_for(lambda: small.post(body).status_code == 200)


def wait_for(happened: Callable[[], bool], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < deadline
