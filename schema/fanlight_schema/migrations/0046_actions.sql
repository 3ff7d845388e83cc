-- actions: one row per action. What is an action: what was declared, and any other entry or trace that holds at least
-- one agent, tool or model call.
CREATE OR REPLACE VIEW actions
(
    action_id              String                COMMENT 'Action id, 32 lower-case hexadecimal digits; the trace id where the action starts the trace',
    action_name            String                COMMENT 'Name of the action, empty if unknown',
    action_source          String                COMMENT 'declared, automatic or inferred',
    origin                 String                COMMENT 'Who asked: user, schedule, agent, system',
    workload               String                COMMENT 'serving, rl_rollout, eval, batch, training',
    user_id                String                COMMENT 'User of the root span, else of the earliest span that names one; empty if unknown',
    session_id             String                COMMENT 'Session, found as the user is; empty if unknown',
    parent_action_id       String                COMMENT 'Action that this one was begun in, empty if none',
    service                String                COMMENT 'Service of the root span, else of the first span',
    started_at             DateTime64(9, 'UTC')  COMMENT 'Start of the root span, else of the first span, UTC',
    duration_s             Float64               COMMENT 'Duration of the root span; first start to last end where that has not arrived or has no end, seconds',
    last_end_at            DateTime64(9, 'UTC')  COMMENT 'End of the span that ended last, UTC',
    has_root               Bool                  COMMENT 'Whether the root span has arrived; without it start and duration are those of the spans',
    model_calls            UInt64                COMMENT 'Model calls: innermost client operations, each once',
    requests               UInt64                COMMENT 'Inference requests that providers were asked to run',
    requests_observed_share Nullable(Float64)    COMMENT 'Share of the requests that was seen at the wire, 0 to 1; the rest is assumed, one a call; NULL without requests',
    tool_calls             UInt64                COMMENT 'Tool executions',
    agent_steps            UInt64                COMMENT 'Agent invocations',
    depth                  UInt64                COMMENT 'Steps (agents and tools) in the longest chain of steps',
    errors                 UInt64                COMMENT 'Model calls that failed',
    step_errors            UInt64                COMMENT 'Agent invocations and tool executions that failed',
    input_tokens           Nullable(UInt64)      COMMENT 'Input tokens, cached ones included; NULL if unknown for all calls',
    cached_tokens          Nullable(UInt64)      COMMENT 'Input tokens read from a cache; NULL if unknown for all calls',
    output_tokens          Nullable(UInt64)      COMMENT 'Output tokens, reasoning included; NULL if unknown for all calls',
    reasoning_tokens       Nullable(UInt64)      COMMENT 'Reasoning tokens; NULL if unknown for all calls',
    calls_without_usage    UInt64                COMMENT 'Model calls whose input tokens are not known and so are in no sum',
    requests_unpriced      UInt64                COMMENT 'Requests that are in no GPU-second figure: tokens, model or hardware unknown',
    gpu_seconds            Nullable(Float64)     COMMENT 'GPU-seconds of demand, in seconds of the reference GPU; NULL if no request is priced',
    gpu_seconds_low        Nullable(Float64)     COMMENT 'Low bound of gpu_seconds, same unit',
    gpu_seconds_high       Nullable(Float64)     COMMENT 'High bound of gpu_seconds, same unit',
    gpu_method             String                COMMENT 'Weakest method that takes part: measured, calibrated, modelled, price_implied; unknown if nothing is priced; +cache_unknown where cache reads were not reported; measured too where no request reached a GPU (refused, or a gateway''s cache hit), the figure then being 0',
    traces                 UInt64                COMMENT 'Traces that hold its spans',
    spans                  UInt64                COMMENT 'Spans',
    orphans                UInt64                COMMENT 'Spans whose parent has not arrived',
    users                  UInt64                COMMENT 'Different users that its spans name; above 1 something is mixed up',
    duplicate_spans        UInt64                COMMENT 'Spans that describe a call which another span describes as well',
    wrapper_spans          UInt64                COMMENT 'Spans typed as model calls that only wrap others',
    gateway_calls          UInt64                COMMENT 'Model calls that a gateway passed on, counted by what it sent on'
)
AS
SELECT
    lower(hex(cascade.action_id)) AS action_id,
    toString(cascade.action_name) AS action_name,
    toString(cascade.action_source) AS action_source,
    toString(cascade.origin) AS origin,
    toString(cascade.workload) AS workload,
    toString(cascade.user_id) AS user_id,
    cascade.session_id AS session_id,
    if(cascade.parent_action_id = toFixedString('', 16), '', lower(hex(cascade.parent_action_id))) AS parent_action_id,
    toString(cascade.service) AS service,
    cascade.started_at AS started_at,
    cascade.duration_ns / 1e9 AS duration_s,
    cascade.last_end_at AS last_end_at,
    cascade.has_root AS has_root,
    arraySum(cascade.`demand.calls`) AS model_calls,
    arraySum(cascade.`demand.requests`) AS requests,
    if(requests = 0, NULL, arraySum(cascade.`demand.requests_observed`) / requests) AS requests_observed_share,
    cascade.tool_calls AS tool_calls,
    cascade.agent_steps AS agent_steps,
    cascade.depth AS depth,
    arraySum(cascade.`demand.errors`) AS errors,
    cascade.step_errors AS step_errors,
    arrayReduce('sum', cascade.`demand.input_tokens`) AS input_tokens,
    arrayReduce('sum', cascade.`demand.cached_tokens`) AS cached_tokens,
    arrayReduce('sum', cascade.`demand.output_tokens`) AS output_tokens,
    arrayReduce('sum', cascade.`demand.reasoning_tokens`) AS reasoning_tokens,
    arraySum(cascade.`demand.calls_without_usage`) AS calls_without_usage,
    price.unpriced AS requests_unpriced,
    price.seconds AS gpu_seconds,
    price.seconds_low AS gpu_seconds_low,
    price.seconds_high AS gpu_seconds_high,
    if(price.method = '', 'unknown', price.method) AS gpu_method,
    cascade.traces AS traces,
    cascade.spans AS spans,
    cascade.orphans AS orphans,
    cascade.users AS users,
    cascade.duplicates AS duplicate_spans,
    cascade.wrappers AS wrapper_spans,
    cascade.gateways AS gateway_calls
FROM (SELECT * FROM cascades FINAL WHERE started_at >= '1970-02-01') AS cascade
LEFT JOIN
(
    SELECT
        action_id,
        started_at,
        sum(gpu_seconds) AS seconds,
        sum(gpu_seconds_low) AS seconds_low,
        sum(gpu_seconds_high) AS seconds_high,
        if(
            isNull(seconds), 'unknown',
            concat(assumeNotNull(argMax(method, method_rank)), if(sum(priced_cache_unknown) > 0, '+cache_unknown', ''))
        ) AS method,
        sum(requests_unpriced) AS unpriced
    FROM priced_demand
    GROUP BY action_id, started_at
) AS price ON cascade.action_id = price.action_id AND cascade.started_at = price.started_at
COMMENT 'One row per action: its cascade counted, each call and request once, and its GPU-seconds';
