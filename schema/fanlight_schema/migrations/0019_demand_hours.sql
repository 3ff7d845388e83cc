-- demand_hours: what each action asked of models in each hour, one row per hour and action with an entry per model, provider, host
-- and region. It is `demand.*` of cascades by the hour of the requests, so that one time is read without the others. It
-- follows cascades in the same insert, deleted rows included, so a build replaces all rows of its actions.
--
-- The sort key answers: what was asked for in this hour? The largest build counts. Rows of January 1970 pass on the
-- marks of a completed build: whoever takes them back does it when its rows here are written.
CREATE TABLE IF NOT EXISTS demand_hours
(
    hour                DateTime('UTC')               COMMENT 'Hour of the requests, UTC' CODEC(Delta(4), ZSTD(1)),
    action_id           FixedString(16)               COMMENT 'Action id, 16 bytes' CODEC(ZSTD(1)),
    build               UInt64                        COMMENT 'Which computation wrote the row; the largest counts' CODEC(Delta(8), ZSTD(1)),
    is_deleted          UInt8                         COMMENT '1 if the action has no requests in this hour any more' CODEC(ZSTD(1)),
    marks               Array(Tuple(trace_id FixedString(16), mark UUID)) COMMENT 'In the rows of January 1970: marks of touched that the build saw' CODEC(ZSTD(1)),
    started_at          DateTime64(9, 'UTC')          COMMENT 'Start of the action, UTC' CODEC(Delta(8), ZSTD(1)),
    action_name         LowCardinality(String)        COMMENT 'Name of the action, empty if unknown' CODEC(ZSTD(1)),
    origin              LowCardinality(String)        COMMENT 'Origin of the action' CODEC(ZSTD(1)),
    workload            LowCardinality(String)        COMMENT 'Workload of the action' CODEC(ZSTD(1)),
    action_source       LowCardinality(String)        COMMENT 'Source of the action' CODEC(ZSTD(1)),
    user_id             LowCardinality(String)        COMMENT 'User of the action, empty if unknown' CODEC(ZSTD(1)),
    model               Array(LowCardinality(String)) COMMENT 'Of each entry: model' CODEC(ZSTD(1)),
    provider            Array(LowCardinality(String)) COMMENT 'Of each entry: provider' CODEC(ZSTD(1)),
    server_address      Array(LowCardinality(String)) COMMENT 'Of each entry: host' CODEC(ZSTD(1)),
    region              Array(LowCardinality(String)) COMMENT 'Of each entry: region' CODEC(ZSTD(1)),
    calls               Array(UInt64)                 COMMENT 'Of each entry: model calls' CODEC(ZSTD(1)),
    requests            Array(UInt64)                 COMMENT 'Of each entry: requests' CODEC(ZSTD(1)),
    requests_observed   Array(UInt64)                 COMMENT 'Of each entry: requests that were seen' CODEC(ZSTD(1)),
    errors              Array(UInt64)                 COMMENT 'Of each entry: model calls that failed' CODEC(ZSTD(1)),
    input_tokens        Array(Nullable(UInt64))       COMMENT 'Of each entry: input tokens, NULL if unknown for all' CODEC(ZSTD(1)),
    cached_tokens       Array(Nullable(UInt64))       COMMENT 'Of each entry: cached input tokens, NULL if unknown for all' CODEC(ZSTD(1)),
    output_tokens       Array(Nullable(UInt64))       COMMENT 'Of each entry: output tokens, NULL if unknown for all' CODEC(ZSTD(1)),
    reasoning_tokens    Array(Nullable(UInt64))       COMMENT 'Of each entry: reasoning tokens, NULL if unknown for all' CODEC(ZSTD(1)),
    calls_without_usage Array(UInt64)                 COMMENT 'Of each entry: calls whose input tokens are not known' CODEC(ZSTD(1)),
    work                Array(Array(Float64))         COMMENT 'Of each entry: sums of the 18 work features over the calls whose work is known, empty if none' CODEC(ZSTD(1)),
    cache_unknown       Array(UInt64)                 COMMENT 'Of each entry: requests with work whose cache reads were not reported' CODEC(ZSTD(1)),
    unmeasured          Array(UInt64)                 COMMENT 'Of each entry: requests whose work is not known' CODEC(ZSTD(1)),
    INDEX idx_action_hex lower(hex(action_id)) TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(build, is_deleted)
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, action_id)
SETTINGS index_granularity = 1024
COMMENT 'One row per hour and action with its demand by model, provider, host and region; read with FINAL';
