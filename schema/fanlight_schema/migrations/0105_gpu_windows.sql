-- gpu_windows: the time that each sample of a GPU stands for: since the sample before it, whoever took that. So two scrapers of
-- one GPU do not count it twice, and time in which nobody saw it is in no window.
CREATE OR REPLACE VIEW gpu_windows
(
    begins_at         DateTime64(3, 'UTC') COMMENT 'Begin of the window, UTC',
    ends_at           DateTime64(3, 'UTC') COMMENT 'End of the window: when it was asked, UTC',
    target            String               COMMENT 'Endpoint that was asked; nvml for the GPUs of the scraper''s machine',
    gpu               String               COMMENT 'UUID of the GPU, and its instance where it is divided; with target and host where it has none',
    pod               String               COMMENT 'Pod that holds it, empty if not told',
    hardware          String               COMMENT 'GPU of the catalogue, else what the driver calls it',
    model             String               COMMENT 'Model that it serves, empty if not told',
    region            String               COMMENT 'Region, empty if not told',
    workload          String               COMMENT 'serving, rl_rollout, eval, batch, training',
    gpu_share         Float64              COMMENT 'Share of the GPU that this is: 1, or slices of seven of an instance',
    busy_share        Nullable(Float64)    COMMENT 'Share of the window in which it worked, 0 to 1; NULL if not told',
    power_w           Nullable(Float64)    COMMENT 'Power, W; NULL if not told'
)
AS
SELECT * FROM gpu_windows_since(since = toDateTime(0, 'UTC'))
COMMENT 'The time that each sample of a GPU stands for';
