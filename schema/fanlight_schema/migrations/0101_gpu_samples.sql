-- gpu_samples: what GPUs say of themselves (DCGM exporter, NVML), one row per GPU and scrape; of a divided GPU (MIG) one
-- per instance.
--
-- The sort key answers: what did this GPU say in this hour? A sample that is written again is the same row.
CREATE TABLE IF NOT EXISTS gpu_samples
(
    scraped_at        DateTime64(3, 'UTC')   COMMENT 'When it was asked, by the clock of the scraper, UTC' CODEC(Delta(8), ZSTD(1)),
    target            LowCardinality(String) COMMENT 'Endpoint that was asked; nvml for the GPUs of the scraper''s machine' CODEC(ZSTD(1)),
    gpu               LowCardinality(String) COMMENT 'UUID of the GPU, and its instance where it is divided' CODEC(ZSTD(1)),
    host              LowCardinality(String) COMMENT 'Machine, as the exporter names it' CODEC(ZSTD(1)),
    pod               LowCardinality(String) COMMENT 'Pod that holds it, as the exporter says; empty if it says none' CODEC(ZSTD(1)),
    hardware          LowCardinality(String) COMMENT 'GPU of the catalogue, else what the driver calls it' CODEC(ZSTD(1)),
    model             LowCardinality(String) COMMENT 'Model that it serves, empty if not told' CODEC(ZSTD(1)),
    region            LowCardinality(String) COMMENT 'Region, empty if not told' CODEC(ZSTD(1)),
    workload          LowCardinality(String) COMMENT 'serving, rl_rollout, eval, batch, training' CODEC(ZSTD(1)),
    window_s          Float64                COMMENT 'Time since the sample before, which this one stands for, seconds; 0 for the first, and after a gap' CODEC(ZSTD(1)),
    gpu_share         Float64                COMMENT 'Share of the GPU that this is: 1, or slices of seven of an instance' CODEC(ZSTD(1)),
    busy_share        Nullable(Float64)      COMMENT 'Share of time in which it worked (graphics engine active, else a kernel ran), 0 to 1; NULL if not told' CODEC(ZSTD(1)),
    tensor_share      Nullable(Float64)      COMMENT 'Share of cycles in which tensor cores worked, 0 to 1' CODEC(ZSTD(1)),
    memory_share      Nullable(Float64)      COMMENT 'Share of cycles in which its memory was read or written, 0 to 1' CODEC(ZSTD(1)),
    power_w           Nullable(Float64)      COMMENT 'Power, W' CODEC(ZSTD(1)),
    energy_j          Nullable(Float64)      COMMENT 'Energy since the driver was loaded, J' CODEC(ZSTD(1)),
    memory_used_bytes Nullable(Float64)      COMMENT 'Memory in use, bytes' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toMonday(scraped_at)
ORDER BY (toStartOfHour(scraped_at), target, gpu, scraped_at)
COMMENT 'What GPUs say of themselves; read with FINAL';
