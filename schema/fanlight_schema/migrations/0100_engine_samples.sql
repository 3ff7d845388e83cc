-- engine_samples: what inference engines say of themselves, one row per engine, model and scrape. Tokens, requests and
-- seconds are counted since the start of the engine, as it tells them; engine_windows takes the differences.
--
-- The sort key answers: what did this engine say in this hour? A sample that is written again is the same row.
CREATE TABLE IF NOT EXISTS engine_samples
(
    scraped_at      DateTime64(3, 'UTC')    COMMENT 'When it was asked, by the clock of the scraper, UTC' CODEC(Delta(8), ZSTD(1)),
    target          LowCardinality(String)  COMMENT 'Endpoint that was asked' CODEC(ZSTD(1)),
    engine          LowCardinality(String)  COMMENT 'vllm, sglang, tgi, llama.cpp, trtllm-serve, triton; empty where it did not answer' CODEC(ZSTD(1)),
    model           LowCardinality(String)  COMMENT 'Model that it serves, as the operator or else the engine calls it' CODEC(ZSTD(1)),
    status          LowCardinality(String)  COMMENT 'ok, unreachable, no_metrics, unknown_metrics or bad_value' CODEC(ZSTD(1)),
    detail          String                  COMMENT 'Why there are no figures, empty where there are' CODEC(ZSTD(1)),
    window_s        Float64                 COMMENT 'Time since the sample before, which this one stands for, seconds; 0 for the first, and after a gap' CODEC(ZSTD(1)),
    server_address  LowCardinality(String)  COMMENT 'Host that spans of its callers name' CODEC(ZSTD(1)),
    hardware        LowCardinality(String)  COMMENT 'GPU of the catalogue, empty if not told' CODEC(ZSTD(1)),
    gpus            Nullable(UInt16)        COMMENT 'GPUs of the replica, NULL if not told' CODEC(ZSTD(1)),
    gpu_ids         Array(LowCardinality(String)) COMMENT 'Its GPUs as gpu_samples names them, or pod:NAME for those of a pod; empty if not told' CODEC(ZSTD(1)),
    region          LowCardinality(String)  COMMENT 'Region, empty if not told' CODEC(ZSTD(1)),
    workload        LowCardinality(String)  COMMENT 'serving, rl_rollout, eval, batch, training' CODEC(ZSTD(1)),
    running         Nullable(Float64)       COMMENT 'Requests that are worked on now' CODEC(ZSTD(1)),
    waiting         Nullable(Float64)       COMMENT 'Requests that wait' CODEC(ZSTD(1)),
    kv_cache_share  Nullable(Float64)       COMMENT 'Share of the KV cache in use, 0 to 1' CODEC(ZSTD(1)),
    input_tokens    Nullable(Float64)       COMMENT 'Input tokens since its start, cached ones included' CODEC(ZSTD(1)),
    cached_tokens   Nullable(Float64)       COMMENT 'Of these, those read from a cache' CODEC(ZSTD(1)),
    uncached_tokens Nullable(Float64)       COMMENT 'Input tokens that were worked on, where the engine tells these instead' CODEC(ZSTD(1)),
    output_tokens   Nullable(Float64)       COMMENT 'Output tokens since its start' CODEC(ZSTD(1)),
    requests        Nullable(Float64)       COMMENT 'Requests that ended since its start' CODEC(ZSTD(1)),
    prefill_s       Nullable(Float64)       COMMENT 'Seconds of work on input since its start' CODEC(ZSTD(1)),
    decode_s        Nullable(Float64)       COMMENT 'Seconds of work on output since its start' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toMonday(scraped_at)
ORDER BY (toStartOfHour(scraped_at), target, model, scraped_at)
COMMENT 'What inference engines say of themselves; read with FINAL';
