-- gpu_supply_hourly: how many GPU-seconds were held, and how many of them were busy? A sample stands for the time since the
-- one before, and is in the hour of its end; time in which a GPU was not seen is in no figure. A divided GPU counts by the slices of its instances.
CREATE OR REPLACE VIEW gpu_supply_hourly
(
    hour                  DateTime('UTC')   COMMENT 'Hour, UTC',
    hardware              String            COMMENT 'GPU of the catalogue, else what the driver calls it',
    region                String            COMMENT 'Region, empty if not told',
    workload              String            COMMENT 'serving, rl_rollout, eval, batch, training',
    model                 String            COMMENT 'Model that the GPUs serve, empty if not told',
    gpus                  UInt64            COMMENT 'GPUs, or instances of divided ones, that were seen in the hour',
    allocated_gpu_seconds Float64           COMMENT 'GPU-seconds that were held, idle ones included',
    busy_gpu_seconds      Nullable(Float64) COMMENT 'Of these, those that the GPUs say they worked; NULL if none says',
    idle_gpu_seconds      Nullable(Float64) COMMENT 'Of these, those that they say they did not; NULL if none says',
    unknown_gpu_seconds   Float64           COMMENT 'Of these, those of which no GPU says whether it worked',
    energy_j              Nullable(Float64) COMMENT 'Power times time, J; NULL if no GPU says'
)
AS
SELECT
    toStartOfHour(sample.scraped_at, 'UTC') AS hour,
    toString(sample.hardware) AS hardware,
    toString(sample.region) AS region,
    toString(sample.workload) AS workload,
    toString(sample.model) AS model,
    uniqExact(sample.gpu) AS gpus,
    sum(sample.held) AS allocated_gpu_seconds,
    sum(sample.held * sample.busy_share) AS busy_gpu_seconds,
    sum(sample.held * (1 - sample.busy_share)) AS idle_gpu_seconds,
    sum(if(isNull(sample.busy_share), sample.held, 0)) AS unknown_gpu_seconds,
    sum(sample.window_s * sample.power_w) AS energy_j
FROM (SELECT *, window_s * gpu_share AS held FROM gpu_samples FINAL) AS sample
GROUP BY hour, hardware, region, workload, model
COMMENT 'GPU-seconds held, busy and idle, by hour, hardware, region, workload and model';
