"""OTLP spans with anything in them that the protocol allows, as hypothesis strategies."""

from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otlp_requests import key_values

NOW_NS = 1_790_000_000 * 10**9
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALARS = st.one_of(
    st.none(), TEXT, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.binary(max_size=8)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
ATTRIBUTES = st.dictionaries(TEXT, VALUES, max_size=5).map(key_values)
TIMES = st.integers(0, 2**64 - 1) | st.integers(NOW_NS - 10**12, NOW_NS)
EVENTS = st.builds(Span.Event, time_unix_nano=TIMES, name=TEXT, attributes=ATTRIBUTES)
LINKS = st.builds(
    Span.Link,
    trace_id=st.binary(min_size=15, max_size=16),
    span_id=st.binary(min_size=8, max_size=8),
    trace_state=TEXT,
    attributes=ATTRIBUTES,
)
SPANS = st.builds(
    Span,
    trace_id=st.binary(min_size=16, max_size=16) | st.binary(max_size=20),
    span_id=st.binary(min_size=8, max_size=8) | st.binary(max_size=9),
    parent_span_id=st.just(b"")
    | st.just(bytes(8))
    | st.binary(min_size=8, max_size=8)
    | st.binary(max_size=9),
    trace_state=TEXT,
    name=TEXT,
    kind=st.integers(0, 7),
    start_time_unix_nano=TIMES,
    end_time_unix_nano=TIMES,
    attributes=ATTRIBUTES,
    events=st.lists(EVENTS, max_size=2),
    links=st.lists(LINKS, max_size=2),
    status=st.builds(Span().status.__class__, code=st.integers(0, 4), message=TEXT),
)
