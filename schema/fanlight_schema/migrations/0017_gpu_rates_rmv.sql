-- gpu_rates_rmv: brings gpu_rates up to what cards and placements say now: what is new or different is written, what holds
-- no longer is marked so, and where all is as it was nothing is written.
CREATE MATERIALIZED VIEW IF NOT EXISTS gpu_rates_rmv REFRESH EVERY 5 SECOND APPEND TO gpu_rates AS
WITH
    hold AS
    (
        SELECT
            model, server_address, valid_from, hardware, catalogue_model, profile, gpu_method, gpu_method_rank,
            reference_factor, rates, rates_low, rates_high, checksum
        FROM
        (
            SELECT
                seen.model AS model, seen.server_address AS server_address, place.*,
                min((place.priority, place.host_pattern, place.model_pattern))
                    OVER (PARTITION BY seen.model, seen.server_address) AS first
            FROM (SELECT DISTINCT model, server_address FROM gpu_models_seen) AS seen
            CROSS JOIN placement_rates AS place
            WHERE match(seen.model, place.model_pattern) AND match(seen.server_address, place.host_pattern)
        )
        WHERE (priority, host_pattern, model_pattern) = first AND notEmpty(rates)
    )
SELECT
    if(hold.checksum = 0, kept.model, hold.model) AS model,
    if(hold.checksum = 0, kept.server_address, hold.server_address) AS server_address,
    if(hold.checksum = 0, kept.valid_from, hold.valid_from) AS valid_from,
    hold.hardware AS hardware,
    hold.catalogue_model AS catalogue_model,
    hold.profile AS profile,
    hold.gpu_method AS gpu_method,
    hold.gpu_method_rank AS gpu_method_rank,
    hold.reference_factor AS reference_factor,
    hold.rates AS rates,
    hold.rates_low AS rates_low,
    hold.rates_high AS rates_high,
    hold.checksum AS checksum,
    now64(6) AS written_at,
    hold.checksum = 0 AS is_deleted
FROM hold
FULL JOIN (SELECT model, server_address, valid_from, checksum FROM gpu_rates FINAL) AS kept
    ON hold.model = kept.model AND hold.server_address = kept.server_address AND hold.valid_from = kept.valid_from
WHERE hold.checksum != kept.checksum;
