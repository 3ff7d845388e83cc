"""Export over gRPC against a real server, for collectors that speak nothing else."""

from collections.abc import Iterator
from concurrent import futures

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

import fanlight
from fanlight._export import ExportCounts, ExportSink
from fanlight._runtime import runtime


class Collector(TraceServiceServicer):
    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.metadata: dict[str, str | bytes] = {}
        self.failures: list[grpc.StatusCode] = []

    def Export(  # noqa: N802  (the base class's name)
        self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        if self.failures:
            context.abort(self.failures.pop(0), "later")
        self.requests.append(request)
        self.metadata = dict(context.invocation_metadata())
        return ExportTraceServiceResponse()


@pytest.fixture
def grpc_collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    collector = Collector()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    yield collector
    fanlight.uninstrument()
    server.stop(None).wait()


def record(count: int) -> ExportCounts:
    for _ in range(count):
        with fanlight.tool("s"):
            pass
    assert fanlight.flush(timeout_s=5)
    assert isinstance(runtime.sink, ExportSink)
    return runtime.sink.counts


def test_spans_arrive_over_grpc(grpc_collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20t0ken")
    fanlight.instrument()
    assert record(20) == ExportCounts(ended=20, delivered=20)
    assert len(grpc_collector.requests[0].resource_spans[0].scope_spans[0].spans) == 20
    assert grpc_collector.metadata["authorization"] == "Bearer t0ken"


def test_busy_grpc_collector_gets_the_spans_once_it_is_well(grpc_collector: Collector) -> None:
    grpc_collector.failures = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED]
    fanlight.instrument()
    assert record(5) == ExportCounts(ended=5, delivered=5)


def test_final_grpc_refusal_is_counted(grpc_collector: Collector) -> None:
    grpc_collector.failures = [grpc.StatusCode.INVALID_ARGUMENT]
    fanlight.instrument()
    assert record(5) == ExportCounts(ended=5, rejected=5)
