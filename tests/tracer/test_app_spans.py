"""The other spans of the app's own provider reach fanlight's collector, once, as its sampler chose them."""

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

import fanlight
from otlp_receiver import OtlpReceiver, attributes_of


def by_scope(collector: OtlpReceiver) -> list[tuple[str, str]]:
    return sorted(
        (scope.scope.name, span.name)
        for received in collector.requests
        for resource in received.request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    )


def one_request(provider: TracerProvider) -> None:
    entry = provider.get_tracer("web", "1.2").start_as_current_span("GET /answer", kind=SpanKind.SERVER)
    with entry, fanlight.action("answer"):
        pass


def test_spans_around_an_action_keep_their_scope_and_identity(collector: OtlpReceiver) -> None:
    provider = TracerProvider()
    fanlight.instrument(tracer_provider=provider)
    one_request(provider)
    assert fanlight.flush()
    assert by_scope(collector) == [("fanlight", "answer"), ("web", "GET /answer")]
    (answer,) = [span for span in collector.spans if span.name == "answer"]
    (entry,) = [span for span in collector.spans if span.name == "GET /answer"]
    assert answer.parent_span_id == entry.span_id
    assert answer.trace_id == entry.trace_id
    provider.shutdown()


def test_everything_a_span_holds_arrives(collector: OtlpReceiver) -> None:
    provider = TracerProvider()
    fanlight.instrument(tracer_provider=provider)
    linked = SpanContext(0xABC, 0xDEF, True, TraceFlags(TraceFlags.SAMPLED))
    span = provider.get_tracer("queue").start_span("take", links=[Link(linked, {"why": "sent it"})])
    span.set_attributes({"text": "ä", "number": 7, "share": 0.5, "yes": True, "list": ["a", "b"]})
    span.add_event("found", {"where": "here"})
    span.set_status(Status(StatusCode.ERROR, "empty"))
    span.end()
    assert fanlight.flush()
    (got,) = collector.spans
    assert attributes_of(got) == {"text": "ä", "number": 7, "share": 0.5, "yes": True, "list": ["a", "b"]}
    assert [event.name for event in got.events] == ["found"]
    assert got.links[0].trace_id == (0xABC).to_bytes(16, "big")
    assert got.links[0].span_id == (0xDEF).to_bytes(8, "big")
    assert (got.status.code, got.status.message) == (2, "empty")
    assert got.end_time_unix_nano >= got.start_time_unix_nano > 0
    provider.shutdown()


def test_global_provider_set_after_instrument_is_followed(collector: OtlpReceiver) -> None:
    fanlight.instrument()
    provider = TracerProvider()
    trace.set_tracer_provider(provider)
    one_request(provider)
    assert fanlight.flush()
    assert by_scope(collector) == [("fanlight", "answer"), ("web", "GET /answer")]
    provider.shutdown()


def test_instrumenting_twice_sends_each_span_once(collector: OtlpReceiver) -> None:
    provider = TracerProvider()
    for _ in range(2):
        fanlight.instrument(tracer_provider=provider)
    fanlight.uninstrument()
    fanlight.instrument(tracer_provider=provider)
    one_request(provider)
    assert fanlight.flush()
    assert by_scope(collector) == [("fanlight", "answer"), ("web", "GET /answer")]
    provider.shutdown()


def test_app_that_exports_here_itself_sends_its_spans_once(collector: OtlpReceiver) -> None:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{collector.url}/v1/traces")))
    fanlight.instrument(tracer_provider=provider)
    one_request(provider)
    provider.force_flush()
    assert fanlight.flush()
    assert by_scope(collector) == [("fanlight", "answer"), ("web", "GET /answer")]
    provider.shutdown()


def test_spans_of_a_layer_above_calls_say_so_to_the_apps_exporters(collector: OtlpReceiver) -> None:
    provider, kept = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    fanlight.instrument(tracer_provider=provider)
    for scope in ("litellm", "web"):
        provider.get_tracer(scope).start_span("chat m", attributes={"gen_ai.operation.name": "chat"}).end()
    said = [(span.attributes or {}).get("fanlight.role") for span in kept.get_finished_spans()]
    assert said == ["wrapper", None]
    assert fanlight.flush()
    assert by_scope(collector) == [("web", "chat m")]
    provider.shutdown()


@pytest.mark.parametrize("variable", ["FANLIGHT_APP_SPANS", None])
def test_spans_stay_with_the_app_where_it_says_so_or_does_not_sample(
    collector: OtlpReceiver, monkeypatch: pytest.MonkeyPatch, variable: str | None
) -> None:
    provider = TracerProvider() if variable else TracerProvider(sampler=ParentBased(ALWAYS_OFF))
    if variable:
        monkeypatch.setenv(variable, "false")
    fanlight.instrument(tracer_provider=provider)
    one_request(provider)
    assert fanlight.flush()
    assert by_scope(collector) == [("fanlight", "answer")]
    provider.shutdown()


def test_nothing_is_sent_without_export_or_after_uninstrument(collector: OtlpReceiver) -> None:
    provider = TracerProvider()
    fanlight.instrument(tracer_provider=provider, export=False)
    one_request(provider)
    fanlight.uninstrument()
    fanlight.instrument(tracer_provider=provider)
    fanlight.uninstrument()
    one_request(provider)
    assert collector.spans == []
    provider.shutdown()
