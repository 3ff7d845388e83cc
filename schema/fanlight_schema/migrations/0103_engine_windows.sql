-- engine_windows: what an engine did between two samples of it. A counter that is lower than before was set back by a
-- restart, and has counted from 0 since: what it did before that, after the last sample, is not known. Windows of a gap
-- (window_s = 0) are not in it. A window begins at the sample before it that is kept, not where the scraper took one:
-- that one may have been lost on its way, or another scraper may have asked in between.
CREATE OR REPLACE VIEW engine_windows
(
    begins_at       DateTime64(3, 'UTC') COMMENT 'Begin of the window, UTC',
    ends_at         DateTime64(3, 'UTC') COMMENT 'End of the window, UTC',
    window_s        Float64              COMMENT 'Length, seconds',
    target          String               COMMENT 'Endpoint that was asked',
    engine          String               COMMENT 'vllm, sglang, tgi, llama.cpp, trtllm-serve, triton',
    model           String               COMMENT 'Model that it serves',
    server_address  String               COMMENT 'Host that spans of its callers name',
    hardware        String               COMMENT 'GPU of the catalogue, empty if not told',
    gpus            Nullable(UInt16)     COMMENT 'GPUs of the replica, NULL if not told',
    gpu_ids         Array(String)        COMMENT 'Its GPUs as gpu_samples names them, or pod:NAME for those of a pod; empty if not told',
    region          String               COMMENT 'Region, empty if not told',
    workload        String               COMMENT 'serving, rl_rollout, eval, batch, training',
    restarted       Bool                 COMMENT 'Whether a counter was set back in the window',
    running         Nullable(Float64)    COMMENT 'Requests that were worked on at its end',
    waiting         Nullable(Float64)    COMMENT 'Requests that waited at its end',
    kv_cache_share  Nullable(Float64)    COMMENT 'Share of the KV cache in use at its end, 0 to 1',
    input_tokens    Nullable(Float64)    COMMENT 'Input tokens in the window, cached ones included; NULL if not told',
    cached_tokens   Nullable(Float64)    COMMENT 'Of these, those read from a cache; NULL if not told',
    uncached_tokens Nullable(Float64)    COMMENT 'Input tokens that were worked on; NULL if not known',
    output_tokens   Nullable(Float64)    COMMENT 'Output tokens in the window; NULL if not told',
    requests        Nullable(Float64)    COMMENT 'Requests that ended in the window; NULL if not told',
    prefill_s       Nullable(Float64)    COMMENT 'Seconds of work on input; NULL if not told',
    decode_s        Nullable(Float64)    COMMENT 'Seconds of work on output; NULL if not told'
)
AS
SELECT * FROM engine_windows_since(since = toDateTime(0, 'UTC'))
COMMENT 'What inference engines did between two samples';
