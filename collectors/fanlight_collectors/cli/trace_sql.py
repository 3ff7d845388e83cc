"""The statements behind `fanlight trace`: which action an id means, and the spans of its cascade."""

from fanlight_schema import shape

MAX_SPANS = 200_000  # of one cascade that are read for a tree
MAX_MATCHES = 6


def matches_sql(prefix: str) -> str:
    """Actions whose id, or the id of one of whose traces, begins with the prefix (hexadecimal digits)."""
    first, last = _id(prefix.ljust(32, "0")), _id(prefix.ljust(32, "f"))
    return (
        "SELECT a.action_id, a.action_name, a.user_id, a.started_at FROM actions AS a\n"
        "WHERE a.action_id IN (\n"
        "    SELECT lower(hex(t.action_id)) FROM action_traces AS t\n"
        f"    WHERE t.action_id BETWEEN {first} AND {last}\n"
        "    UNION ALL\n"
        "    SELECT lower(hex(arrayJoin(i.actions))) FROM trace_index AS i\n"
        f"    WHERE i.trace_id BETWEEN {first} AND {last})\n"
        f"ORDER BY a.started_at LIMIT {MAX_MATCHES}"
    )


def action_sql(action_id: str) -> str:
    """One row: what is known of the action."""
    hours = f"SELECT {{}}(hour) FROM ({_places(action_id)})"
    begun = f"BETWEEN ({hours.format('min')}) AND ({hours.format('max')}) + INTERVAL 1 HOUR"
    of_it = f"WHERE action_id = '{action_id}'"
    estimated = (
        f"SELECT countIf(usage_source = 'estimated') FROM model_calls {of_it} AND action_started_at {begun}"
    )
    width = f"SELECT max(width) FROM cascade_shapes {of_it} AND started_at {begun}"
    return (
        f"SELECT *, ({estimated}) AS calls_estimated, ({width}) AS width"
        f" FROM actions {of_it} AND started_at {begun}"
    )


def spans_sql(action_id: str) -> str:
    """The spans of a cascade, each once, and those in its traces that do not say which action they are of.

    Ids are those of trace and span together: span ids are different within a trace only.
    """
    action, nobody = _id(action_id), "toFixedString('', 16)"
    return (
        "SELECT concat(hex(s.trace_id), hex(s.span_id)) AS span_id,\n"
        "    concat(hex(s.trace_id), hex(s.parent_id)) AS parent_id,\n"
        "    s.role AS role, s.name AS name, s.agent_name AS agent_name, s.tool_name AS tool_name,\n"
        "    toUnixTimestamp64Nano(s.started_at) AS start_ns, s.duration_ns AS duration_ns,\n"
        "    s.is_error AS is_error, s.error_type AS error_type, s.http_status AS http_status,\n"
        "    s.requests AS requests, s.resend_count AS resend_count, s.outcome AS outcome,\n"
        "    s.input_tokens AS input_tokens, s.cached_tokens AS cached_tokens,\n"
        "    s.output_tokens AS output_tokens, s.usage_source AS usage_source\n"
        "FROM spans AS s FINAL\n"
        f"WHERE s.action_id IN ({action}, {nobody})\n"
        f"    AND (toStartOfHour(s.started_at), s.trace_id) IN ({_places(action_id)})\n"
        f"ORDER BY s.started_at LIMIT {MAX_SPANS}"
    )


def members_sql(action_id: str) -> str:
    """Which spans are those of a cascade; of each on its critical path, on what it spends how much time."""
    spans = shape.spans_sql(f"SELECT {_id(action_id)}")
    span_id = "concat(hex(trace_id), hex(span_id)) AS span_id"
    return f"{spans}\nSELECT {span_id}, is_critical, spent_on, critical_ns FROM cascade_spans"


def _places(action_id: str) -> str:
    """The hours and traces in which spans of the action may stand."""
    traces = f"SELECT trace_id FROM action_traces WHERE action_id = {_id(action_id)}"
    return f"SELECT hour, trace_id FROM trace_index WHERE trace_id IN ({traces})"


def _id(digits: str) -> str:
    return f"toFixedString(unhex('{digits}'), 16)"
