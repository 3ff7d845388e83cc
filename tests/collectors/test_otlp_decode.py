"""OTLP bodies to rows: both encodings give the same, and a bad span costs only itself."""

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from fanlight_collectors.otlp import MalformedBody, decode_json, decode_protobuf
from fanlight_collectors.otlp.spans import MAX_ATTRIBUTE_CHARS
from fanlight_schema.otel_traces import COLUMNS
from otlp_requests import key_values, make_request, make_span, to_json
from otlp_strategies import NOW_NS, SPANS, TEXT


@settings(max_examples=150, deadline=None)
@given(st.lists(SPANS, max_size=4), TEXT)
def test_protobuf_and_json_give_the_same_rows_and_rejects(spans: list[Span], service: str) -> None:
    request = make_request(spans, service)
    from_protobuf = decode_protobuf(request.SerializeToString(), NOW_NS)
    from_json = decode_json(json.dumps(to_json(request)).encode(), NOW_NS)
    assert from_json.columns == from_protobuf.columns
    assert from_json.rejects == from_protobuf.rejects
    assert from_json.repairs == from_protobuf.repairs


def test_row_is_what_the_collectors_exporter_writes() -> None:
    """Compared field by field with clickhouseexporter's pushTraceData."""
    start_ns = time.time_ns() - 10**9
    span = make_span(
        trace_id=bytes(range(16)),
        span_id=bytes(range(8)),
        parent_span_id=bytes(range(1, 9)),
        trace_state="a=b",
        name="chat gpt",
        kind=3,
        start_time_unix_nano=start_ns,
        end_time_unix_nano=start_ns + 1500,
        attributes={"s": "x", "i": 5, "b": True, "d": 0.5, "l": ["a", 1]},
        events=[Span.Event(time_unix_nano=start_ns + 1, name="e", attributes=key_values({"k": 1}))],
        links=[Span.Link(trace_id=bytes([2] * 16), span_id=bytes([3] * 8), trace_state="c=d")],
        status={"code": 2, "message": "bad"},
    )
    batch = decode_protobuf(make_request([span], "shop").SerializeToString())
    row = {name: values[0] for name, values in batch.columns.items()}
    assert tuple(row) == COLUMNS
    assert row == {
        "Timestamp": start_ns,
        "TraceId": "000102030405060708090a0b0c0d0e0f",
        "SpanId": "0001020304050607",
        "ParentSpanId": "0102030405060708",
        "TraceState": "a=b",
        "SpanName": "chat gpt",
        "SpanKind": "Client",
        "ServiceName": "shop",
        "ResourceAttributes": {"service.name": "shop"},
        "ScopeName": "fanlight",
        "ScopeVersion": "0.1.0",
        "SpanAttributes": {"s": "x", "i": "5", "b": "true", "d": "0.5", "l": '["a",1]'},
        "Duration": 1500,
        "StatusCode": "Error",
        "StatusMessage": "bad",
        "Events.Timestamp": [start_ns + 1],
        "Events.Name": ["e"],
        "Events.Attributes": [{"k": "1"}],
        "Links.TraceId": ["02" * 16],
        "Links.SpanId": ["03" * 8],
        "Links.TraceState": ["c=d"],
        "Links.Attributes": [{}],
    }


DAY_NS = 86_400 * 10**9
BAD_SPANS = {
    "invalid_trace_id": [
        {"trace_id": b""},
        {"trace_id": bytes(16)},
        {"trace_id": b"x" * 15},
        {"trace_id": b"x" * 99},
    ],
    "invalid_span_id": [{"span_id": b""}, {"span_id": bytes(8)}, {"span_id": b"x" * 9}],
    "invalid_parent_span_id": [{"parent_span_id": b"x" * 7}],
    "start_time_in_the_future": [
        {"start_time_unix_nano": time.time_ns() + 2 * DAY_NS},
        {"start_time_unix_nano": 2**64 - 1},
    ],
    "start_time_too_old": [{"start_time_unix_nano": 0}, {"start_time_unix_nano": 1}],
    "end_time_in_the_future": [{"end_time_unix_nano": 2**64 - 1}],
}


@pytest.mark.parametrize(
    ("reason", "fields"), [(reason, fields) for reason, cases in BAD_SPANS.items() for fields in cases]
)
def test_bad_span_is_rejected_with_its_reason_and_the_rest_stays(
    reason: str, fields: dict[str, object]
) -> None:
    request = make_request([make_span(1), make_span(2, **fields), make_span(3)])
    batch = decode_protobuf(request.SerializeToString())
    assert batch.columns["SpanName"] == ["span 1", "span 3"]
    assert [(reject.reason, reject.span_name, reject.service_name) for reject in batch.rejects] == [
        (reason, "span 2", "tests")
    ]


def test_span_that_ends_before_it_starts_has_duration_zero_and_is_counted() -> None:
    span = make_span()
    span.end_time_unix_nano = span.start_time_unix_nano - 5
    batch = decode_protobuf(make_request([span]).SerializeToString())
    assert batch.columns["Duration"] == [0]
    assert batch.repairs == {"negative_duration": 1}


def test_oversized_value_is_cut_and_counted() -> None:
    span = make_span(attributes={"prompt": "x" * (10 * 2**20), "gen_ai.usage.input_tokens": 3})
    batch = decode_protobuf(make_request([span]).SerializeToString())
    [attributes] = batch.columns["SpanAttributes"]
    assert attributes == {"prompt": "x" * MAX_ATTRIBUTE_CHARS, "gen_ai.usage.input_tokens": "3"}
    assert batch.repairs == {"oversized_attribute": 1}


def test_text_that_is_not_utf8_is_repaired_in_both_encodings() -> None:
    request = make_request([make_span(1), make_span(2, name="PLACE", attributes={"PLACE": "PLACE"})])
    protobuf = decode_protobuf(request.SerializeToString().replace(b"PLACE", b"a\xff\xfe\xe2z"))
    from_json = decode_json(json.dumps(to_json(request)).encode().replace(b"PLACE", b"a\xff\xfe\xe2z"))
    for batch in (protobuf, from_json):
        assert batch.columns["SpanName"] == ["span 1", "a\ufffd\ufffd\ufffdz"]
        assert batch.columns["SpanAttributes"][1] == {"a\ufffd\ufffd\ufffdz": "a\ufffd\ufffd\ufffdz"}
        assert batch.repairs["invalid_utf8"] > 0


def test_half_a_surrogate_pair_in_json_is_repaired() -> None:
    body = json.dumps(to_json(make_request([make_span(name="PLACE")]))).replace(
        "PLACE", "a\\ud800z\\ud83d\\ude00"
    )
    batch = decode_json(body.encode())
    assert batch.columns["SpanName"] == ["a\ufffdz😀"]


def test_first_of_two_attributes_with_one_key_is_kept() -> None:
    span = make_span(attributes={})
    span.attributes.extend([*key_values({"k": "first"}), *key_values({"k": "second"})])
    batch = decode_protobuf(make_request([span]).SerializeToString())
    assert batch.columns["SpanAttributes"] == [{"k": "first"}]


def test_json_span_that_cannot_be_read_costs_only_itself() -> None:
    document = to_json(make_request([make_span(1), make_span(2), make_span(3), make_span(4)]))
    spans = document["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans[1]["traceId"] = "not hex"
    spans[2]["attributes"] = [{"key": "k", "value": {"intValue": "many"}}]
    batch = decode_json(json.dumps(document).encode())
    assert batch.columns["SpanName"] == ["span 1", "span 4"]
    assert [reject.reason for reject in batch.rejects] == ["malformed_span", "malformed_span"]
    assert [reject.detail for reject in batch.rejects] == [
        "traceId is not a hex string",
        "attributes.value.intValue does not have the form that OTLP/JSON gives it",
    ]


def test_event_of_the_far_future_has_time_zero_and_is_counted() -> None:
    span = make_span(events=[Span.Event(time_unix_nano=2**64 - 1, name="e")])
    batch = decode_protobuf(make_request([span]).SerializeToString())
    assert batch.columns["Events.Timestamp"] == [[0]]
    assert batch.repairs == {"invalid_event_time": 1}


def test_json_takes_enum_names_numbers_as_numbers_and_snake_case() -> None:
    document = {
        "resource_spans": [
            {
                "scope_spans": [
                    {
                        "spans": [
                            {
                                "trace_id": "01" * 16,
                                "span_id": "02" * 8,
                                "name": "n",
                                "kind": "SPAN_KIND_SERVER",
                                "start_time_unix_nano": NOW_NS,
                                "end_time_unix_nano": NOW_NS + 1,
                                "status": {"code": "STATUS_CODE_OK"},
                                "attributes": [{"key": "i", "value": {"int_value": 3}}],
                            }
                        ]
                    }
                ]
            }
        ]
    }
    batch = decode_json(json.dumps(document).encode(), NOW_NS)
    row = {name: values[0] for name, values in batch.columns.items()}
    assert (row["SpanKind"], row["StatusCode"], row["SpanAttributes"], row["ServiceName"]) == (
        "Server",
        "Ok",
        {"i": "3"},
        "",
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b"\xff\xfe",
        b'{"resourceSpans": 1}',
        b'{"resourceSpans": [1]}',
        b"[" * 100_000,
        b'{"resourceSpans": [{"resource": 5}]}',
        b'{"resourceSpans": [{"scopeSpans": {}}]}',
        b"NaN",
        b"1" * 5000,
    ],
)
def test_body_that_is_no_json_request_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        decode_json(body)


def test_resource_attribute_that_cannot_be_read_costs_only_itself() -> None:
    document = to_json(make_request([make_span()]))
    resource = document["resourceSpans"][0]["resource"]
    resource["attributes"].append({"key": "k", "value": {"intValue": "many"}})
    batch = decode_json(json.dumps(document).encode())
    assert batch.columns["ResourceAttributes"] == [{"service.name": "tests"}]
    assert batch.repairs == {"malformed_attribute": 1}


@pytest.mark.parametrize("body", [b"{}", b'{"resourceSpans": []}', b'{"resourceSpans": null, "x": 1}'])
def test_empty_json_request_has_no_rows(body: bytes) -> None:
    assert decode_json(body).rows == 0


def test_truncated_protobuf_is_malformed_and_an_empty_one_is_empty() -> None:
    body = make_request([make_span()]).SerializeToString()
    assert decode_protobuf(b"").rows == 0
    with pytest.raises(MalformedBody, match="not a protobuf"):
        decode_protobuf(body[:-3])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_malformed_in_both_encodings(body: bytes) -> None:
    for decode in (decode_protobuf, decode_json):
        try:
            decode(body)
        except MalformedBody:
            continue


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_damage_to_a_request_is_decoded_or_malformed(data: st.DataObject) -> None:
    body = bytearray(make_request([make_span(1), make_span(2)]).SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        batch = decode_protobuf(bytes(body))
    except MalformedBody:
        return
    assert {len(values) for values in batch.columns.values()} == {batch.rows}


def test_recorded_payloads_give_the_same_rows_in_both_encodings(otlp_recordings: list[Path]) -> None:
    for path in otlp_recordings:
        from_protobuf = decode_protobuf(path.read_bytes())
        from_json = decode_json(path.with_suffix(".json").read_bytes())
        assert from_protobuf.rows > 0
        assert from_json.columns == from_protobuf.columns, path


@pytest.fixture
def otlp_recordings() -> list[Path]:
    shared = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("FANLIGHT_TEST_DATA") or shared) / "otlp-generated"
    found = sorted(folder.glob("*/*-traces.pb"))
    if not found:
        pytest.skip(f"the recorded OTLP payloads are not in {folder}")
    return found
