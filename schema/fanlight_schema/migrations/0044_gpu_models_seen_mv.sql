-- gpu_models_seen_mv: notes every pair of model and host that was called, for the rates of gpu_rates.
CREATE MATERIALIZED VIEW IF NOT EXISTS gpu_models_seen_mv TO gpu_models_seen AS
SELECT DISTINCT
    model,
    server_address
FROM cascades
ARRAY JOIN `demand.model` AS model, `demand.server_address` AS server_address;
