-- gpu_rates_mv: gives models and servers their rates in the insert that notes them.
CREATE MATERIALIZED VIEW IF NOT EXISTS gpu_rates_mv TO gpu_rates AS
SELECT
    model, server_address, valid_from, hardware, catalogue_model, profile, gpu_method, gpu_method_rank, reference_factor,
    rates, rates_low, rates_high, 'card' AS holds, checksum, now64(6) AS written_at, 0 AS is_deleted
FROM
(
    SELECT
        seen.model AS model, seen.server_address AS server_address, place.*,
        min((place.priority, place.host_pattern, place.model_pattern)) OVER (PARTITION BY seen.model, seen.server_address) AS first
    FROM gpu_models_seen AS seen
    CROSS JOIN placement_rates AS place
    WHERE match(seen.model, place.model_pattern) AND match(seen.server_address, place.host_pattern)
)
WHERE (priority, host_pattern, model_pattern) = first AND notEmpty(rates);
