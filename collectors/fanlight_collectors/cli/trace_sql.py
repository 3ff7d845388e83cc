"""The statements behind `fanlight trace`: which action an id means, and the spans of its cascade."""

from fanlight_schema import shape

MAX_SPANS = 200_000  # of one cascade that are read for a tree
MAX_MATCHES = 6


def matches_sql(prefix: str) -> str:
    """Actions whose id, or the id of one of whose traces, begins with the prefix (hexadecimal digits)."""
    return (
        "SELECT a.action_id, a.action_name, a.user_id, a.started_at FROM actions AS a\n"
        f"WHERE startsWith(a.action_id, '{prefix}') OR a.action_id IN (\n"
        "    SELECT lower(hex(s.action_id)) FROM spans AS s\n"
        f"    WHERE startsWith(lower(hex(s.trace_id)), '{prefix}'))\n"
        f"ORDER BY a.started_at LIMIT {MAX_MATCHES}"
    )


def action_sql(action_id: str) -> str:
    """One row: what is known of the action."""
    of_it = f"WHERE action_id = '{action_id}'"
    estimated = f"SELECT countIf(usage_source = 'estimated') FROM model_calls {of_it}"
    width = f"SELECT max(width) FROM cascade_shapes {of_it}"
    return f"SELECT *, ({estimated}) AS calls_estimated, ({width}) AS width FROM actions {of_it}"


def spans_sql(action_id: str) -> str:
    """The spans of a cascade, each once, and those in its traces that do not say which action they are of."""
    action = f"toFixedString(unhex('{action_id}'), 16)"
    nobody = "toFixedString('', 16)"
    return (
        "SELECT hex(s.span_id) AS span_id, hex(s.parent_id) AS parent_id,\n"
        f"    s.action_id = {action} OR s.trace_id = {action} AS owned,\n"
        "    s.role AS role, s.name AS name, s.agent_name AS agent_name, s.tool_name AS tool_name,\n"
        "    toUnixTimestamp64Nano(s.started_at) AS start_ns, s.duration_ns AS duration_ns,\n"
        "    s.is_error AS is_error, s.error_type AS error_type, s.http_status AS http_status,\n"
        "    s.requests AS requests, s.resend_count AS resend_count, s.outcome AS outcome,\n"
        "    s.input_tokens AS input_tokens, s.cached_tokens AS cached_tokens,\n"
        "    s.output_tokens AS output_tokens, s.usage_source AS usage_source\n"
        "FROM spans AS s FINAL\n"
        f"WHERE s.action_id = {action} OR (s.action_id = {nobody} AND s.trace_id IN (\n"
        f"    SELECT t.trace_id FROM spans AS t WHERE t.action_id = {action} OR t.trace_id = {action}))\n"
        f"ORDER BY s.started_at LIMIT {MAX_SPANS}"
    )


def path_sql(action_id: str) -> str:
    """The spans on the critical path of a cascade, what each spends time on there, and how much."""
    spans = shape.spans_sql(f"SELECT toFixedString(unhex('{action_id}'), 16)")
    columns = "hex(span_id) AS span_id, spent_on, critical_ns"
    return f"{spans}\nSELECT {columns} FROM cascade_spans WHERE is_critical"
