"""fanlight records everything, and the app's own tracing is as if fanlight were not sampled at all."""

from collections.abc import Callable

import pytest
from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

import fanlight
from fanlight_schema import attributes as names
from otlp_receiver import OtlpReceiver, attributes_of


def app_provider(sampler: Sampler) -> tuple[TracerProvider, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=sampler)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, exporter


def remote_parent(sampled: bool) -> context.Context:
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    return set_span_in_context(NonRecordingSpan(SpanContext(0xABC, 0xDEF, True, flags)))


def ids(span: ReadableSpan) -> tuple[bytes, bytes]:
    found = span.get_span_context()
    assert found is not None
    return found.trace_id.to_bytes(16, "big"), found.span_id.to_bytes(8, "big")


def one_action(provider: TracerProvider) -> None:
    child = provider.get_tracer("app").start_as_current_span
    with fanlight.action("answer"), fanlight.tool("search"), child("app child"):
        pass


def test_ratio_zero_exports_every_fanlight_span_and_the_app_sees_none(collector: OtlpReceiver) -> None:
    provider, exporter = app_provider(ParentBased(TraceIdRatioBased(0)))
    fanlight.instrument(tracer_provider=provider)
    for _ in range(50):
        one_action(provider)
    assert fanlight.flush()
    assert sorted(collector.names) == ["answer"] * 50 + ["execute_tool search"] * 50
    assert exporter.get_finished_spans() == ()


def test_ratio_of_a_tenth_exports_every_fanlight_span_and_the_app_sees_its_share(
    collector: OtlpReceiver,
) -> None:
    sampler = TraceIdRatioBased(0.1)
    provider, exporter = app_provider(ParentBased(sampler))
    fanlight.instrument(tracer_provider=provider)
    for _ in range(500):
        one_action(provider)
    assert fanlight.flush()
    ours = [span for span in collector.spans if span.name != "app child"]
    assert len(ours) == 1_000
    chosen = {
        span.trace_id
        for span in ours
        if sampler.should_sample(None, int.from_bytes(span.trace_id, "big"), "").decision.is_sampled()
    }
    assert 10 < len(chosen) < 120
    # Whole traces, each with its three spans, in the app's own place; nothing else.
    seen = [ids(span) for span in exporter.get_finished_spans()]
    assert {trace_id for trace_id, _ in seen} == chosen
    assert len(seen) == 3 * len(chosen)
    assert set(seen) > {(span.trace_id, span.span_id) for span in ours if span.trace_id in chosen}
    assert len(collector.spans) == 1_000 + len(chosen)  # the app's own spans, where it chose them


@pytest.mark.parametrize("sampled", [False, True])
def test_remote_parents_flag_is_the_apps_decision_not_ours(collector: OtlpReceiver, sampled: bool) -> None:
    provider, exporter = app_provider(ParentBased(ALWAYS_ON))
    fanlight.instrument(tracer_provider=provider)
    token = context.attach(remote_parent(sampled))
    one_action(provider)
    context.detach(token)
    assert fanlight.flush()
    ours = [span for span in collector.spans if span.name != "app child"]
    assert [(span.trace_id.hex()[-3:], span.name) for span in ours] == [
        ("abc", "execute_tool search"),
        ("abc", "answer"),
    ]
    assert collector.spans[1].parent_span_id.hex()[-3:] == "def"
    seen = [span.name for span in exporter.get_finished_spans()]
    assert seen == (["app child", "execute_tool search", "answer"] if sampled else [])


def test_carrier_says_unsampled_where_the_app_did_not_sample(collector: OtlpReceiver) -> None:
    provider, _ = app_provider(ParentBased(ALWAYS_OFF))
    fanlight.instrument(tracer_provider=provider)
    with fanlight.action("answer"):
        assert int(fanlight.carrier()["traceparent"][-2:], 16) & TraceFlags.SAMPLED == 0
        assert not trace.get_current_span().get_span_context().trace_flags.sampled


def test_twin_has_the_same_content_as_what_is_exported(collector: OtlpReceiver) -> None:
    provider, exporter = app_provider(ALWAYS_ON)
    fanlight.instrument(tracer_provider=provider)

    @fanlight.action(session="s-1")
    def answer() -> None:
        fanlight.set_user("u-42")
        span = trace.get_current_span()
        span.add_event("retrieved", {"passages": 3})
        span.update_name("answer it")
        raise KeyError("x")

    with pytest.raises(KeyError):
        answer()
    assert fanlight.flush()
    (twin,), (exported,) = exporter.get_finished_spans(), collector.spans
    assert twin.attributes is not None
    assert dict(twin.attributes) == attributes_of(exported)
    assert twin.name == exported.name == "answer it"
    assert ids(twin) == (exported.trace_id, exported.span_id)
    assert (twin.start_time, twin.end_time) == (exported.start_time_unix_nano, exported.end_time_unix_nano)
    assert twin.status.status_code is trace.StatusCode.ERROR
    assert [event.name for event in twin.events] == [event.name for event in exported.events] == ["retrieved"]
    assert twin.instrumentation_scope is not None
    assert twin.instrumentation_scope.name == "fanlight"


def test_action_starting_the_trace_has_the_id_that_the_apps_provider_chose(collector: OtlpReceiver) -> None:
    provider, exporter = app_provider(ALWAYS_ON)
    fanlight.instrument(tracer_provider=provider)
    one_action(provider)
    (root,) = [span for span in exporter.get_finished_spans() if span.name == "answer"]
    assert root.attributes is not None
    assert root.attributes[names.ACTION_ID] == ids(root)[0].hex()


def test_global_provider_is_used_and_never_set(collector: OtlpReceiver) -> None:
    fanlight.instrument()
    with fanlight.action("before"):
        pass
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    provider, exporter = app_provider(ALWAYS_ON)
    trace.set_tracer_provider(provider)  # the app's set-up comes after fanlight's
    with fanlight.action("after"):
        pass
    assert fanlight.flush()
    assert collector.names == ["before", "after"]
    assert [span.name for span in exporter.get_finished_spans()] == ["after"]


def test_no_op_provider_of_the_app_does_not_stop_fanlight(collector: OtlpReceiver) -> None:
    fanlight.instrument(tracer_provider=trace.NoOpTracerProvider())
    with fanlight.action("answer"), fanlight.tool("search"):
        pass
    assert fanlight.flush()
    tool, root = collector.spans
    assert (tool.trace_id, tool.parent_span_id) == (root.trace_id, root.span_id)
    assert root.span_id != tool.span_id


def test_export_false_leaves_the_spans_to_the_apps_provider(collector: OtlpReceiver) -> None:
    provider, exporter = app_provider(ALWAYS_ON)
    fanlight.instrument(tracer_provider=provider, export=False)
    one_action(provider)
    assert fanlight.flush()
    assert collector.spans == []
    assert len(exporter.get_finished_spans()) == 3


def simple(url: str) -> SimpleSpanProcessor:
    return SimpleSpanProcessor(OTLPSpanExporter(endpoint=f"{url}/v1/traces"))


def batch(url: str) -> BatchSpanProcessor:
    return BatchSpanProcessor(OTLPSpanExporter(endpoint=url.replace("127.0.0.1", "localhost") + "/v1/traces"))


@pytest.mark.parametrize("make", [simple, batch])
def test_span_that_the_app_exports_to_the_same_place_arrives_once(
    collector: OtlpReceiver, make: Callable[[str], SimpleSpanProcessor | BatchSpanProcessor]
) -> None:
    provider = TracerProvider()
    fanlight.instrument(tracer_provider=provider)
    provider.add_span_processor(make(collector.url))  # added later, and found all the same
    one_action(provider)
    provider.force_flush()
    assert fanlight.flush()
    assert sorted(collector.names) == ["answer", "app child", "execute_tool search"]


def test_what_the_app_does_not_sample_reaches_the_same_place_from_us(collector: OtlpReceiver) -> None:
    provider = TracerProvider(sampler=ALWAYS_OFF)
    provider.add_span_processor(simple(collector.url))
    fanlight.instrument(tracer_provider=provider)
    one_action(provider)
    assert fanlight.flush()
    assert sorted(collector.names) == ["answer", "execute_tool search"]


def test_resource_of_the_apps_provider_is_kept(collector: OtlpReceiver) -> None:
    from opentelemetry.sdk.resources import Resource

    provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
    fanlight.instrument(tracer_provider=provider)
    one_action(provider)
    assert fanlight.flush()
    resource = collector.requests[0].request.resource_spans[0].resource
    assert {pair.key: pair.value.string_value for pair in resource.attributes}["service.name"] == "shop"
