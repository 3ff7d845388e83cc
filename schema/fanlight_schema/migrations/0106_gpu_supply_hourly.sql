-- gpu_supply_hourly: how many GPU-seconds were held, and how many of them were busy? A sample stands for the time since the
-- one before; time in which a GPU was not seen is in no figure. A divided GPU counts by the slices of its instances.
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
    toDateTime(seen.hour_number * 3600, 'UTC') AS hour,
    seen.hardware AS hardware,
    seen.region AS region,
    seen.workload AS workload,
    seen.model AS model,
    uniqExact(seen.gpu) AS gpus,
    sum(seen.held) AS allocated_gpu_seconds,
    sum(seen.held * seen.busy_share) AS busy_gpu_seconds,
    sum(seen.held * (1 - seen.busy_share)) AS idle_gpu_seconds,
    sum(if(isNull(seen.busy_share), seen.held, 0)) AS unknown_gpu_seconds,
    sum(seen.seconds * seen.power_w) AS energy_j
FROM
(
    SELECT
        *,
        toUnixTimestamp64Milli(begins_at) AS begins_ms,
        toUnixTimestamp64Milli(ends_at) AS ends_ms,
        arrayJoin(range(intDiv(begins_ms, 3600000), intDiv(ends_ms - 1, 3600000) + 1)) AS hour_number,
        (least(ends_ms, (hour_number + 1) * 3600000) - greatest(begins_ms, hour_number * 3600000)) / 1000 AS seconds,
        seconds * gpu_share AS held
    FROM gpu_windows
) AS seen
GROUP BY hour, hardware, region, workload, model
COMMENT 'GPU-seconds held, busy and idle, by hour, hardware, region, workload and model';
