-- gpu_rates_rmv: brings gpu_rates up to what cards and placements say now: what is new or different is written, what holds
-- no longer is marked so, and where all is as it was nothing is written. Rows of hours are measured_rates.sql's.
CREATE MATERIALIZED VIEW IF NOT EXISTS gpu_rates_rmv REFRESH EVERY 5 SECOND APPEND TO gpu_rates AS
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
    'card' AS holds,
    hold.checksum AS checksum,
    now64(6) AS written_at,
    hold.checksum = 0 AS is_deleted
FROM placed_rates AS hold
FULL JOIN (SELECT model, server_address, valid_from, checksum, holds FROM gpu_rates FINAL) AS kept
    ON hold.model = kept.model AND hold.server_address = kept.server_address AND hold.valid_from = kept.valid_from
WHERE hold.checksum != kept.checksum AND kept.holds IN ('card', '');
