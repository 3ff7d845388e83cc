-- spans: one typed row per span, whatever dialect it came in; the columns are those of fanlight_schema/dialects.
--
-- The sort key answers: which spans has this trace in this hour? The hour of a span's own start and its trace never
-- change, so a span that is resent lands on its own row; the key must never hold anything that is learned later
-- (action, user). Of several states of one span the largest version counts: ended beats started, then more
-- attributes, then 32 bits of a hash of the content; never the order of arrival. Read with FINAL, or LIMIT 1 BY the
-- identity.
-- Codecs: T64 for small integers, for starts, which are near each other within a trace but not in order, and for the
-- version, of which little but the hash varies; ZSTD(1) elsewhere; span ids are random and stay plain.
-- Partitions are months, not days: one insert may reach over at most 100 of them, and a batch of old spans must
-- not be refused as a whole.
CREATE TABLE IF NOT EXISTS spans
(
    trace_id           FixedString(16)            COMMENT 'Trace id, 16 bytes' CODEC(ZSTD(1)),
    span_id            UInt64                     COMMENT 'Span id, 8 bytes' CODEC(NONE),
    parent_id          UInt64                     COMMENT 'Span id of the parent, 0 for a root' CODEC(ZSTD(1)),
    started_at         DateTime64(9, 'UTC')       COMMENT 'Start of the span, UTC, nanoseconds' CODEC(T64, ZSTD(1)),
    duration_ns        UInt64                     COMMENT 'End minus start, nanoseconds' CODEC(T64, ZSTD(1)),
    version            UInt64                     COMMENT 'Which state of the span counts: ended, number of attributes, hash; the largest' CODEC(T64, ZSTD(1)),
    role               Enum8('other' = 0, 'action' = 1, 'agent' = 2, 'tool' = 3, 'call' = 4, 'request' = 5, 'engine' = 6, 'usage' = 7)
                                                  COMMENT 'What the span is; engine: server side of a model call; usage: a second record that only adds tokens' CODEC(ZSTD(1)),
    kind               Enum8('Unspecified' = 0, 'Internal' = 1, 'Server' = 2, 'Client' = 3, 'Producer' = 4, 'Consumer' = 5)
                                                  COMMENT 'OpenTelemetry span kind' CODEC(ZSTD(1)),
    is_remote          Bool                       COMMENT 'Whether its parent is known to be a span of another process' CODEC(ZSTD(1)),
    is_error           Bool                       COMMENT 'Whether the span status is Error' CODEC(ZSTD(1)),
    name               LowCardinality(String)     COMMENT 'Name of the span' CODEC(ZSTD(1)),
    service            LowCardinality(String)     COMMENT 'Resource attribute service.name' CODEC(ZSTD(1)),
    region             LowCardinality(String)     COMMENT 'Resource attribute cloud.region, empty if unknown' CODEC(ZSTD(1)),
    environment        LowCardinality(String)     COMMENT 'Resource attribute deployment.environment.name or its older name deployment.environment, empty if unknown' CODEC(ZSTD(1)),
    scope              LowCardinality(String)     COMMENT 'Instrumentation scope: the library that made the span' CODEC(ZSTD(1)),
    dialect            LowCardinality(String)     COMMENT 'Whose attribute names said what the span is, empty for a plain span' CODEC(ZSTD(1)),
    operation          LowCardinality(String)     COMMENT 'Operation as the tracer names it: chat, embeddings, execute_tool, ...' CODEC(ZSTD(1)),
    agent_name         LowCardinality(String)     COMMENT 'Agent, empty if unknown' CODEC(ZSTD(1)),
    tool_name          LowCardinality(String)     COMMENT 'Tool, empty if unknown' CODEC(ZSTD(1)),
    action_id          FixedString(16)            COMMENT 'Action id that the span itself carries, else, of a root, the one trace that it links into; 16 zero bytes if none' CODEC(ZSTD(1)),
    parent_action_id   FixedString(16)            COMMENT 'Action that this action was begun in, 16 zero bytes if none' CODEC(ZSTD(1)),
    action_name        LowCardinality(String)     COMMENT 'Name of the action, empty if the span does not say' CODEC(ZSTD(1)),
    origin             LowCardinality(String)     COMMENT 'Who asked: user, schedule, agent, system; empty if the span does not say' CODEC(ZSTD(1)),
    action_source      LowCardinality(String)     COMMENT 'declared, automatic or inferred; empty if the span does not say' CODEC(ZSTD(1)),
    workload           LowCardinality(String)     COMMENT 'serving, rl_rollout, eval, batch, training; empty if the span does not say' CODEC(ZSTD(1)),
    user_id            LowCardinality(String)     COMMENT 'User, empty if the span does not say' CODEC(ZSTD(1)),
    session_id         String                     COMMENT 'Session, empty if the span does not say' CODEC(ZSTD(1)),
    hop                Nullable(UInt16)           COMMENT 'Steps above this span in its action, NULL if the tracer does not say' CODEC(ZSTD(1)),
    provider           LowCardinality(String)     COMMENT 'Provider of the model, empty if unknown' CODEC(ZSTD(1)),
    request_model      LowCardinality(String)     COMMENT 'Model that was asked for, empty if unknown' CODEC(ZSTD(1)),
    response_model     LowCardinality(String)     COMMENT 'Model that answered, empty if unknown' CODEC(ZSTD(1)),
    response_id        String                     COMMENT 'Id that the provider gave the answer, empty if unknown' CODEC(ZSTD(1)),
    server_address     LowCardinality(String)     COMMENT 'Host that was called, empty if unknown' CODEC(ZSTD(1)),
    server_port        Nullable(UInt16)           COMMENT 'Port that was called, NULL if unknown' CODEC(ZSTD(1)),
    input_tokens       Nullable(UInt32)           COMMENT 'Input tokens, cached ones included; NULL if not reported' CODEC(T64, ZSTD(1)),
    cached_tokens      Nullable(UInt32)           COMMENT 'Input tokens read from a cache; NULL if not reported' CODEC(T64, ZSTD(1)),
    cache_write_tokens Nullable(UInt32)           COMMENT 'Input tokens written to a cache; NULL if not reported' CODEC(T64, ZSTD(1)),
    output_tokens      Nullable(UInt32)           COMMENT 'Output tokens, reasoning included; NULL if not reported' CODEC(T64, ZSTD(1)),
    reasoning_tokens   Nullable(UInt32)           COMMENT 'Output tokens spent on reasoning; NULL if not reported' CODEC(T64, ZSTD(1)),
    max_tokens         Nullable(UInt32)           COMMENT 'Most output tokens that were allowed per choice; NULL if not given' CODEC(T64, ZSTD(1)),
    choices            Nullable(UInt32)           COMMENT 'Answers asked for in one request; NULL if not given' CODEC(ZSTD(1)),
    inputs             Nullable(UInt32)           COMMENT 'Sequences in one embeddings request; NULL if not given' CODEC(ZSTD(1)),
    is_stream          Nullable(Bool)             COMMENT 'Whether the answer was streamed; NULL if unknown' CODEC(ZSTD(1)),
    ttft_s             Nullable(Float64)          COMMENT 'Time to the first chunk, seconds; NULL if unknown' CODEC(ZSTD(1)),
    http_status        Nullable(UInt16)           COMMENT 'HTTP status of the answer; NULL if unknown' CODEC(ZSTD(1)),
    resend_count       Nullable(UInt16)           COMMENT 'How many times the request had been sent before; NULL if not given' CODEC(ZSTD(1)),
    error_type         LowCardinality(String)     COMMENT 'Class of the error, empty if none' CODEC(ZSTD(1)),
    is_wire            Bool                       COMMENT 'Whether requests are observed at the wire, so that none seen means none sent' CODEC(ZSTD(1)),
    requests           Nullable(UInt32)           COMMENT 'Requests that the call took, as observed; NULL if not observed' CODEC(ZSTD(1)),
    outcome            LowCardinality(String)     COMMENT 'answered, refused or unknown, as observed; empty if not observed' CODEC(ZSTD(1)),
    usage_source       LowCardinality(String)     COMMENT 'reported, counted or estimated; empty if the tracer does not say' CODEC(ZSTD(1)),
    is_gateway_hit     Bool                       COMMENT 'Whether a gateway answered from its cache, so that no GPU worked' CODEC(ZSTD(1)),
    server_queue_s     Nullable(Float64)          COMMENT 'Time that the engine let the request wait, seconds; NULL if not told' CODEC(ZSTD(1)),
    server_prefill_s   Nullable(Float64)          COMMENT 'Time that the engine worked on the input, seconds; NULL if not told' CODEC(ZSTD(1)),
    server_decode_s    Nullable(Float64)          COMMENT 'Time that the engine worked on the output, seconds; NULL if not told' CODEC(ZSTD(1)),
    dropped_spans      UInt32                     COMMENT 'Spans of its action that its process had lost when it ended' CODEC(T64, ZSTD(1)),
    bad_numbers        UInt8                      COMMENT 'Token and request counts that the span has and that are none: NaN, negative, text; each is NULL here' CODEC(ZSTD(1)),
    record_duration_ns UInt64                     COMMENT 'For usage records: how long the stream took that they report, nanoseconds' CODEC(T64, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(started_at)
ORDER BY (toStartOfHour(started_at), trace_id, span_id)
SETTINGS index_granularity = 2048, non_replicated_deduplication_window = 10000
COMMENT 'Every span in fanlight''s own columns; may hold several states of one span, read with FINAL';
