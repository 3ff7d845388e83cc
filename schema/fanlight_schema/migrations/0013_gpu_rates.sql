-- gpu_rates: the rates that hold for each model and server seen, as one coefficient per work feature, so that any
-- sum of features is priced by one line:
--   rate_n * n + rate_u * u + rate_c * c + rate_o * o + rate_a * a + rate_k * k
-- The batch is not observed here, so a decode step is shared by the placement's range of requests: s = o / B and
-- w = f(B) o / B go into rate_o, with B the geometric middle of the range for the value, its upper end for the low
-- bound and its lower end for the high bound. f(B) is the share of the weights that a step of B tokens reads.
-- A model without a placement has no row; all rates are Nullable so that a LEFT JOIN gives NULL for it, never 0.
CREATE OR REPLACE VIEW gpu_rates
(
    model            String            COMMENT 'Name of the model as the calls carry it',
    server_address   String            COMMENT 'Host that the requests went to, empty where it is unknown',
    valid_from       DateTime('UTC')   COMMENT 'Requests from this time on are priced with this row, UTC',
    hardware         Nullable(String)  COMMENT 'GPU whose seconds the rates are in',
    catalogue_model  Nullable(String)  COMMENT 'Model of the catalogue that the name stands for',
    profile          Nullable(String)  COMMENT 'Engine profile: GPUs of a replica and precision',
    gpu_method       Nullable(String)  COMMENT 'measured, calibrated, modelled or price_implied',
    gpu_method_rank  UInt8             COMMENT '1 measured, 2 calibrated, 3 modelled, 4 price_implied: the largest is the weakest',
    reference_factor Nullable(Float64) COMMENT 'Seconds of the reference GPU (H100 SXM) per second of hardware',
    rate_n           Nullable(Float64) COMMENT 'GPU-seconds of hardware per request',
    rate_u           Nullable(Float64) COMMENT 'GPU-seconds of hardware per uncached input token',
    rate_c           Nullable(Float64) COMMENT 'GPU-seconds of hardware per cached input token',
    rate_o           Nullable(Float64) COMMENT 'GPU-seconds of hardware per output token, share of steps and weights included',
    rate_a           Nullable(Float64) COMMENT 'GPU-seconds of hardware per token pair of prefill attention',
    rate_k           Nullable(Float64) COMMENT 'GPU-seconds of hardware per token-step of decode',
    rate_n_low       Nullable(Float64) COMMENT 'Low bound of rate_n, same unit',
    rate_u_low       Nullable(Float64) COMMENT 'Low bound of rate_u, same unit',
    rate_c_low       Nullable(Float64) COMMENT 'Low bound of rate_c, same unit',
    rate_o_low       Nullable(Float64) COMMENT 'Low bound of rate_o, same unit',
    rate_a_low       Nullable(Float64) COMMENT 'Low bound of rate_a, same unit',
    rate_k_low       Nullable(Float64) COMMENT 'Low bound of rate_k, same unit',
    rate_n_high      Nullable(Float64) COMMENT 'High bound of rate_n, same unit',
    rate_u_high      Nullable(Float64) COMMENT 'High bound of rate_u, same unit',
    rate_c_high      Nullable(Float64) COMMENT 'High bound of rate_c, same unit',
    rate_o_high      Nullable(Float64) COMMENT 'High bound of rate_o, same unit',
    rate_a_high      Nullable(Float64) COMMENT 'High bound of rate_a, same unit',
    rate_k_high      Nullable(Float64) COMMENT 'High bound of rate_k, same unit'
)
AS
WITH
    placed AS
    (
        SELECT
            seen.model AS called,
            seen.server_address AS server,
            argMin(
                (p.model, p.hardware, p.profile, p.batch_low, p.batch_high),
                (p.priority, p.host_pattern, p.model_pattern)
            ) AS place
        FROM (SELECT DISTINCT model, server_address FROM gpu_models_seen) AS seen
        CROSS JOIN (SELECT * FROM placements FINAL) AS p
        WHERE match(seen.model, p.model_pattern) AND match(seen.server_address, p.host_pattern)
        GROUP BY called, server
    ),
    priced AS
    (
        SELECT
            placed.called AS called,
            placed.server AS server,
            card.*,
            greatest(1., placed.place.4) AS batch_least,
            greatest(batch_least, placed.place.5) AS batch_most,
            arrayMap(
                b -> r_o + gpus * x_o
                    + (r_w * (dense_share + (1 - dense_share) * (1 - pow(1 - expert_share, b))) + gpus * t_s) / b,
                [sqrt(batch_least * batch_most), batch_most, batch_least]
            ) AS per_output_token
        FROM placed
        INNER JOIN (SELECT * FROM gpu_rate_cards FINAL) AS card
            ON card.model = placed.place.1 AND card.hardware = placed.place.2 AND card.profile = placed.place.3
    )
SELECT
    called AS model,
    server AS server_address,
    priced.valid_from AS valid_from,
    toNullable(toString(priced.hardware)) AS hardware,
    toNullable(toString(priced.model)) AS catalogue_model,
    toNullable(toString(priced.profile)) AS profile,
    toNullable(toString(priced.method)) AS gpu_method,
    toUInt8(indexOf(['measured', 'calibrated', 'modelled', 'price_implied'], toString(priced.method))) AS gpu_method_rank,
    toNullable(priced.reference_factor) AS reference_factor,
    toNullable(r_n) AS rate_n,
    toNullable(r_u + gpus * x_u) AS rate_u,
    toNullable(r_c) AS rate_c,
    toNullable(per_output_token[1]) AS rate_o,
    toNullable(r_a) AS rate_a,
    toNullable(r_k) AS rate_k,
    low_factor * rate_n AS rate_n_low,
    low_factor * rate_u AS rate_u_low,
    low_factor * rate_c AS rate_c_low,
    toNullable(low_factor * per_output_token[2]) AS rate_o_low,
    low_factor * rate_a AS rate_a_low,
    low_factor * rate_k AS rate_k_low,
    high_factor * rate_n AS rate_n_high,
    high_factor * rate_u AS rate_u_high,
    high_factor * rate_c AS rate_c_high,
    toNullable(high_factor * per_output_token[3]) AS rate_o_high,
    high_factor * rate_a AS rate_a_high,
    high_factor * rate_k AS rate_k_high
FROM priced
COMMENT 'What the work of each model and server seen costs: one coefficient per work feature, with bounds';
