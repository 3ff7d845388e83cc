-- build_pairs: which spans describe one and the same call, and which usage record belongs to which stream.
--
-- Two spans beside each other describe one call if they come from two libraries, overlap in time, and have the same
-- response id; or, where one of them has none, the same model and the same tokens, or unknown tokens and one within
-- the other. The one that was observed at the wire counts, else the one with a response id.
-- Spans whose neighbours are all of their own library are compared with none.
-- Logfire writes a span when a stream begins and a log record with its usage when it ends: the record belongs to the
-- last stream that began before it, though that may be a wrapper, whose call tells its usage itself.
CREATE OR REPLACE VIEW build_pairs AS
WITH
    siblings AS
    (
        SELECT
            *,
            min(detail.3) OVER side_by_side != max(detail.3) OVER side_by_side AS has_company
        FROM build_folded
        WINDOW side_by_side AS (PARTITION BY action, trace_id, is_call AND NOT is_usage, shown.parent_id)
    ),
    neighbours AS
    (
        SELECT
            *,
            if(is_usage, call_start_ns - toInt64(shown.record_duration_ns), call_end_ns) AS stream_ns,
            is_usage OR ((is_call OR is_wrapper) AND isNull(shown.input_tokens) AND NOT shown.is_error AND startsWith(shown.scope, 'logfire')) AS may_stream,
            groupArrayIf((
                detail, call_start_ns, call_end_ns, shown.response_id, call_model, toString(shown.request_model),
                shown.input_tokens, shown.output_tokens, shown.cached_tokens
            ), has_company) OVER (
                PARTITION BY action, trace_id, is_call AND NOT is_usage, shown.parent_id, if(has_company, 0, call)
                ORDER BY call_start_ns, call ROWS BETWEEN 8 PRECEDING AND 8 FOLLOWING
            ) AS beside
        FROM siblings
    ),
    compared AS
    (
        SELECT
            * EXCEPT beside,
            arrayFilter(
                other -> other.1.3 != detail.3 AND other.2 <= call_end_ns AND call_start_ns <= other.3
                    AND (
                        (other.4 != '' AND other.4 = shown.response_id)
                        OR (
                            (other.4 = '' OR shown.response_id = '')
                            AND (other.5 = call_model OR other.6 = shown.request_model)
                            AND coalesce(other.7 = shown.input_tokens, true)
                            AND coalesce(other.8 = shown.output_tokens, true)
                            AND (
                                (isNotNull(other.7) AND isNotNull(shown.input_tokens))
                                OR (other.2 <= call_start_ns AND call_end_ns <= other.3)
                                OR (call_start_ns <= other.2 AND other.3 <= call_end_ns)
                            )
                        )
                    ),
                beside
            ) AS alike,
            countIf(may_stream AND NOT is_usage) OVER (
                PARTITION BY action, trace_id, may_stream, shown.parent_id, shown.request_model
                ORDER BY stream_ns, call ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) AS stream
        FROM neighbours
    ),
    paired AS
    (
        SELECT
            *,
            is_call AND NOT is_usage AND arrayExists(other -> other.1 > detail, alike) AS is_duplicate,
            may_stream AND NOT is_usage AS takes_usage,
            sumIf(shown.input_tokens, is_usage) OVER same_stream AS streamed_input,
            sumIf(shown.output_tokens, is_usage) OVER same_stream AS streamed_output,
            sumIf(shown.cached_tokens, is_usage) OVER same_stream AS streamed_cached,
            sumIf(shown.reasoning_tokens, is_usage) OVER same_stream AS streamed_reasoning,
            maxIf(call_start_ns, is_usage) OVER same_stream AS streamed_until_ns,
            -- Not by the id: what describes the same call began with it.
            min((call_start_ns, trace_id)) OVER (PARTITION BY action, is_call, call_model) < (call_start_ns, trace_id) AS has_earlier
        FROM compared
        WINDOW same_stream AS (PARTITION BY action, trace_id, may_stream, shown.parent_id, shown.request_model, stream)
    )
SELECT
    *,
    is_call AND NOT is_duplicate AND NOT (is_usage AND stream > 0) AS counts,
    coalesce(shown.input_tokens, if(takes_usage, streamed_input, arrayFirst(n -> isNotNull(n), alike.7))) AS input,
    coalesce(shown.output_tokens, if(takes_usage, streamed_output, arrayFirst(n -> isNotNull(n), alike.8))) AS output,
    coalesce(shown.cached_tokens, if(takes_usage, streamed_cached, arrayFirst(n -> isNotNull(n), alike.9))) AS cached,
    coalesce(shown.reasoning_tokens, if(takes_usage, streamed_reasoning, NULL)) AS reasoning,
    greatest(call_end_ns, if(takes_usage, streamed_until_ns, 0)) AS ended_ns,
    class = 2 OR isNotNull(shown.requests) OR (shown.is_wire AND shown.error_type != 'process_died') AS is_observed,
    arrayMap(
        s -> multiIf(
            s.error_type = 'process_died', 'lost',
            s.is_gateway_hit, 'hit',
            s.outcome = 'refused', 'refused',
            s.outcome = 'answered', 'answered',
            s.outcome = 'unknown' AND (coalesce(s.http_status, 0) >= 500 OR match(s.error_type, '(?i)time.?out')), 'lost',
            s.outcome = 'unknown', 'cut',
            s.http_status IN (408, 504) OR match(s.error_type, '(?i)time.?out'), 'lost',
            s.http_status = 503 OR s.http_status BETWEEN 400 AND 499, 'refused',
            coalesce(s.http_status, 0) >= 500, 'lost',
            s.is_error AND match(s.error_type, '(?i)notfound|badrequest|ratelimit|authentication|permission|unprocessable|connecterror|connectionerror'), 'refused',
            'answered'
        ),
        if(empty(sent), [shown], sent)
    ) AS outcomes
FROM paired
COMMENT 'Calls of the open build, each once, with tokens and outcomes of their requests';
