-- engine_minutes: how long did the GPUs of an engine work in each minute, and on what? An engine is all replicas that serve a
-- model under one host name, as their callers see it. Its GPUs are those that `fanlight scrape` was told of (gpu_ids); a GPU
-- that several engines hold is divided by the work that their own counters tell of.
--
-- A minute has no busy_ns where it cannot be known: an engine or a GPU was not seen for a second of it or longer, a GPU of
-- it is not scraped or does not tell, or the work of several engines on one GPU is not known. Its work is not known
-- where its counters do not tell tokens or were set back by a restart.
CREATE OR REPLACE VIEW engine_minutes
(
    minute          DateTime('UTC')   COMMENT 'Minute, UTC',
    server_address  String            COMMENT 'Host that spans of its callers name',
    model           String            COMMENT 'Model that it serves',
    region          String            COMMENT 'Region of its replicas, empty if not told',
    workload        String            COMMENT 'serving, rl_rollout, eval, batch, training',
    hardware        String            COMMENT 'GPU of the catalogue, as its GPUs say, else as the operator says; empty if none does',
    replicas        UInt64            COMMENT 'Endpoints that were asked',
    gpus            UInt64            COMMENT 'GPUs, or instances of divided ones, that are known to be its own',
    busy_ns         Nullable(UInt64)  COMMENT 'Nanoseconds that its GPUs worked for it, summed over the GPUs; NULL if not known',
    requests        Nullable(Float64) COMMENT 'Requests that ended; NULL if not told',
    uncached_tokens Nullable(Float64) COMMENT 'Input tokens that were worked on, all input tokens where cached ones are not told; NULL if not known',
    cached_tokens   Nullable(Float64) COMMENT 'Input tokens read from a cache, 0 where it does not tell; NULL if the others are not known',
    output_tokens   Nullable(Float64) COMMENT 'Output tokens; NULL if not known'
)
AS
SELECT * FROM engine_minutes_since(since = toDateTime(0, 'UTC'))
COMMENT 'How long the GPUs of an engine worked in each minute, and on what';
