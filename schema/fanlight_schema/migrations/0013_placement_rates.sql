-- placement_rates: what the work of calls that a placement speaks of costs, as one coefficient per work feature, so that
-- any sum of features is priced by one product: rates[1] n + rates[2] u + rates[3] c + rates[4] o + rates[5] a + rates[6] k.
-- The batch is not observed here, so a decode step is shared by the placement's range of requests: s = o / B and
-- w = f(B) o / B go into the coefficient of o, with B the geometric middle of the range for the value, its upper end for
-- the low bound and its lower end for the high bound. f(B) is the share of the weights that a step of B tokens reads.
-- A card that brings bounds of its own (of a closed model) has those.
CREATE OR REPLACE VIEW placement_rates
(
    priority         UInt32            COMMENT 'Of the placement: the smallest that matches counts',
    host_pattern     String            COMMENT 'Of the placement: searched in the server address',
    model_pattern    String            COMMENT 'Of the placement: searched in the model name',
    valid_from       DateTime('UTC')   COMMENT 'Requests from this time on are priced with this row, UTC',
    hardware         Nullable(String)  COMMENT 'GPU whose seconds the rates are in',
    catalogue_model  Nullable(String)  COMMENT 'Model of the catalogue that the name stands for',
    profile          Nullable(String)  COMMENT 'Engine profile: GPUs of a replica and precision',
    gpu_method       Nullable(String)  COMMENT 'measured, calibrated, modelled or price_implied',
    gpu_method_rank  UInt8             COMMENT '1 measured, 2 calibrated, 3 modelled, 4 price_implied: the largest is the weakest',
    reference_factor Nullable(Float64) COMMENT 'Seconds of the reference GPU (H100 SXM) per second of hardware',
    rates            Array(Float64)    COMMENT 'GPU-seconds of hardware per request, uncached input token, cached input token, output token (share of steps and weights included), token pair of prefill attention, token-step of decode; empty where there is no rate card',
    rates_low        Array(Float64)    COMMENT 'Low bounds of rates, same units',
    rates_high       Array(Float64)    COMMENT 'High bounds of rates, same units',
    checksum         UInt64            COMMENT 'Hash of what the row says of a price'
)
AS
SELECT
    priority, host_pattern, model_pattern, valid_from, hardware, catalogue_model, profile, gpu_method, gpu_method_rank,
    reference_factor, rates, rates_low, rates_high, checksum
FROM
(
    SELECT
        p.priority AS priority,
        p.host_pattern AS host_pattern,
        p.model_pattern AS model_pattern,
        card.valid_from AS valid_from,
        nullIf(toString(card.hardware), '') AS hardware,
        nullIf(toString(card.model), '') AS catalogue_model,
        nullIf(toString(card.profile), '') AS profile,
        nullIf(toString(card.method), '') AS gpu_method,
        toUInt8(indexOf(['measured', 'calibrated', 'modelled', 'price_implied'], toString(card.method))) AS gpu_method_rank,
        if(card.gpus = 0, NULL, card.reference_factor) AS reference_factor,
        greatest(1., p.batch_low) AS batch_least,
        greatest(batch_least, p.batch_high) AS batch_most,
        arrayMap(
            b -> [
                r_n, r_u + gpus * x_u, r_c,
                r_o + gpus * x_o
                    + (r_w * (dense_share + (1 - dense_share) * (1 - pow(1 - expert_share, b))) + gpus * t_s) / b,
                r_a, r_k
            ],
            [sqrt(batch_least * batch_most), batch_most, batch_least]
        ) AS at_batch,
        if(card.gpus = 0, [], at_batch[1]) AS rates,
        multiIf(card.gpus = 0, [], notEmpty(card.rates_low), card.rates_low, arrayMap(rate -> rate * card.low_factor, at_batch[2])) AS rates_low,
        multiIf(card.gpus = 0, [], notEmpty(card.rates_high), card.rates_high, arrayMap(rate -> rate * card.high_factor, at_batch[3])) AS rates_high,
        cityHash64(
            toString(card.hardware), toString(card.model), toString(card.profile), toString(card.method),
            card.reference_factor, rates, rates_low, rates_high
        ) AS checksum
    FROM (SELECT * FROM placements FINAL) AS p
    LEFT JOIN (SELECT * FROM gpu_rate_cards FINAL) AS card
        ON card.model = p.model AND card.hardware = p.hardware AND card.profile = p.profile
)
COMMENT 'What the work of calls that a placement speaks of costs: one coefficient per work feature, with bounds';
