-- shapes: how the cascade of each action is shaped and where its time went, computed apart from the counting and after
-- it, because it is dearer and nobody waits for it.
--
-- The sort key answers: which actions began in this hour? A row stands as long as its action is counted as it was: the
-- next build deletes it, until the new shape is there. The largest build counts.
CREATE TABLE IF NOT EXISTS shapes
(
    action_id      FixedString(16)        COMMENT 'Action id, 16 bytes' CODEC(ZSTD(1)),
    started_at     DateTime64(9, 'UTC')   COMMENT 'Start of the action, UTC' CODEC(Delta(8), ZSTD(1)),
    build          UInt64                 COMMENT 'Build that counted the action; the largest counts' CODEC(Delta(8), ZSTD(1)),
    is_deleted     UInt8                  COMMENT '1 if the action was counted anew or is gone' CODEC(ZSTD(1)),
    marks          Array(UInt64)          COMMENT 'Marks of shape_marks that the shape saw' CODEC(ZSTD(1)),
    action_name    LowCardinality(String) COMMENT 'Name of the action, empty if unknown' CODEC(ZSTD(1)),
    action_source  LowCardinality(String) COMMENT 'declared, automatic or inferred' CODEC(ZSTD(1)),
    origin         LowCardinality(String) COMMENT 'Who asked: user, schedule, agent, system' CODEC(ZSTD(1)),
    workload       LowCardinality(String) COMMENT 'serving, rl_rollout, eval, batch, training' CODEC(ZSTD(1)),
    user_id        LowCardinality(String) COMMENT 'User, empty if unknown' CODEC(ZSTD(1)),
    spans          UInt32                 COMMENT 'Spans' CODEC(T64, ZSTD(1)),
    orphans        UInt32                 COMMENT 'Spans whose parent has not arrived' CODEC(T64, ZSTD(1)),
    depth          UInt32                 COMMENT 'Steps in the longest chain of steps' CODEC(T64, ZSTD(1)),
    width          UInt32                 COMMENT 'Most model calls in flight at once' CODEC(T64, ZSTD(1)),
    critical_spans UInt32                 COMMENT 'Spans on the critical path' CODEC(T64, ZSTD(1)),
    duration_ns    UInt64                 COMMENT 'Length of the critical path: the duration of the action, nanoseconds' CODEC(T64, ZSTD(1)),
    model_ns       UInt64                 COMMENT 'Of that, in requests to models, nanoseconds' CODEC(T64, ZSTD(1)),
    tool_ns        UInt64                 COMMENT 'Of that, in tools, nanoseconds' CODEC(T64, ZSTD(1)),
    waiting_ns     UInt64                 COMMENT 'Of that, between the requests of one call, nanoseconds' CODEC(T64, ZSTD(1)),
    `hops.hop`      Array(UInt32)         COMMENT 'Steps above, for each entry of hops' CODEC(ZSTD(1)),
    `hops.parents`  Array(UInt32)         COMMENT 'Steps that stand directly above this hop; the action itself at hop 0' CODEC(ZSTD(1)),
    `hops.agents`   Array(UInt32)         COMMENT 'Agent invocations at this hop' CODEC(ZSTD(1)),
    `hops.tools`    Array(UInt32)         COMMENT 'Tool executions at this hop' CODEC(ZSTD(1)),
    `hops.calls`    Array(UInt32)         COMMENT 'Model calls at this hop' CODEC(ZSTD(1)),
    `hops.requests` Array(UInt32)         COMMENT 'Inference requests of these calls' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(build, is_deleted)
PARTITION BY toYYYYMM(started_at)
ORDER BY (toStartOfHour(started_at), action_id)
SETTINGS index_granularity = 1024
COMMENT 'Shape and critical path of each action; read with FINAL';
