-- gpu_rate_card: what work costs, card by card: the rates themselves, what a million tokens of each kind come to, by whose
-- method, within which bounds, and from when until when. One row for each row of gpu_rate_cards that counts.
--
-- An output token's price depends on how many requests are decoded at once. Here the value takes 32, the low bound 256 and
-- the high bound 4: the range of batches that fanlight ships, and its geometric middle. Figures of demand take the range of
-- the placement instead. A closed model's price knows no batch: its bounds are what its list price would rent and what the
-- guesses of its size allow at least.
CREATE OR REPLACE VIEW gpu_rate_card
(
    model                    String                   COMMENT 'Model of the catalogue',
    hardware                 String                   COMMENT 'GPU of the catalogue, whose seconds the rates are in',
    profile                  String                   COMMENT 'Engine profile, for example tp4-bf16: GPUs of a replica and precision',
    valid_from               DateTime('UTC')          COMMENT 'Requests from this time on are priced with it, UTC',
    valid_until              Nullable(DateTime('UTC')) COMMENT 'Requests before this time: a later card of the same model, hardware and profile begins then, UTC; NULL while none does',
    gpus                     UInt16                   COMMENT 'GPUs of one replica: tensor times pipeline parallel',
    precision                String                   COMMENT 'Number format of weights and arithmetic: bf16, fp8, int4, fp4',
    gpu_method               String                   COMMENT 'measured, calibrated, modelled or price_implied',
    input_gpu_seconds        Float64                  COMMENT 'GPU-seconds of hardware per million uncached input tokens, attention left out',
    input_gpu_seconds_low    Float64                  COMMENT 'Low bound of input_gpu_seconds',
    input_gpu_seconds_high   Float64                  COMMENT 'High bound of input_gpu_seconds',
    cached_gpu_seconds       Float64                  COMMENT 'GPU-seconds of hardware per million cached input tokens',
    cached_gpu_seconds_low   Float64                  COMMENT 'Low bound of cached_gpu_seconds',
    cached_gpu_seconds_high  Float64                  COMMENT 'High bound of cached_gpu_seconds',
    output_gpu_seconds       Float64                  COMMENT 'GPU-seconds of hardware per million output tokens where 32 requests decode at once, reads of the cache left out',
    output_gpu_seconds_low   Float64                  COMMENT 'Low bound of output_gpu_seconds: 256 requests at once',
    output_gpu_seconds_high  Float64                  COMMENT 'High bound of output_gpu_seconds: 4 requests at once',
    input_reference_seconds  Float64                  COMMENT 'input_gpu_seconds in seconds of the reference GPU (H100 SXM); its bounds scale alike',
    cached_reference_seconds Float64                  COMMENT 'cached_gpu_seconds in seconds of the reference GPU',
    output_reference_seconds Float64                  COMMENT 'output_gpu_seconds in seconds of the reference GPU',
    reference_factor         Float64                  COMMENT 'Seconds of the reference GPU that one second of this hardware is worth',
    low_factor               Float64                  COMMENT 'Rates times this are the low bound, at most 1; price_implied: the least of any rate',
    high_factor              Float64                  COMMENT 'Rates times this are the high bound, at least 1; price_implied: the most of any rate',
    r_n                      Float64                  COMMENT 'GPU-seconds of hardware per request',
    r_u                      Float64                  COMMENT 'GPU-seconds of hardware per uncached input token',
    r_c                      Float64                  COMMENT 'GPU-seconds of hardware per cached input token',
    r_o                      Float64                  COMMENT 'GPU-seconds of hardware per output token',
    r_a                      Float64                  COMMENT 'GPU-seconds of hardware per token pair of prefill attention',
    r_k                      Float64                  COMMENT 'GPU-seconds of hardware per token-step: one cached token read in one decode step',
    r_w                      Float64                  COMMENT 'GPU-seconds of hardware per pass over all weights',
    x_u                      Float64                  COMMENT 'Seconds of communication per uncached input token, on each GPU of the replica',
    x_o                      Float64                  COMMENT 'Seconds of communication per output token, on each GPU of the replica',
    t_s                      Float64                  COMMENT 'Seconds of overhead per engine step, on each GPU of the replica',
    dense_share              Float64                  COMMENT 'Share of the weights that every step reads, 0 to 1; 1 for a dense model',
    expert_share             Float64                  COMMENT 'Experts that one token uses over experts in all, 0 to 1; 1 for a dense model',
    source                   String                   COMMENT 'Where the rates are from',
    written_at               DateTime64(3, 'UTC')     COMMENT 'When the card was written, UTC'
)
AS
SELECT
    toString(card.model) AS model,
    toString(card.hardware) AS hardware,
    toString(card.profile) AS profile,
    card.valid_from AS valid_from,
    leadInFrame(toNullable(card.valid_from), 1, NULL) OVER
        (PARTITION BY card.model, card.hardware, card.profile ORDER BY card.valid_from ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS valid_until,
    gpus,
    toString(card.precision) AS precision,
    toString(card.method) AS gpu_method,
    1e6 * (r_u + gpus * x_u) AS input_gpu_seconds,
    if(notEmpty(rates_low), 1e6 * rates_low[2], low_factor * input_gpu_seconds) AS input_gpu_seconds_low,
    if(notEmpty(rates_high), 1e6 * rates_high[2], high_factor * input_gpu_seconds) AS input_gpu_seconds_high,
    1e6 * r_c AS cached_gpu_seconds,
    if(notEmpty(rates_low), 1e6 * rates_low[3], low_factor * cached_gpu_seconds) AS cached_gpu_seconds_low,
    if(notEmpty(rates_high), 1e6 * rates_high[3], high_factor * cached_gpu_seconds) AS cached_gpu_seconds_high,
    per_output[1] AS output_gpu_seconds,
    if(notEmpty(rates_low), 1e6 * rates_low[4], low_factor * per_output[2]) AS output_gpu_seconds_low,
    if(notEmpty(rates_high), 1e6 * rates_high[4], high_factor * per_output[3]) AS output_gpu_seconds_high,
    reference_factor * input_gpu_seconds AS input_reference_seconds,
    reference_factor * cached_gpu_seconds AS cached_reference_seconds,
    reference_factor * output_gpu_seconds AS output_reference_seconds,
    reference_factor, low_factor, high_factor,
    r_n, r_u, r_c, r_o, r_a, r_k, r_w, x_u, x_o, t_s, dense_share, expert_share,
    source, written_at
FROM
(
    SELECT
        *,
        arrayMap(
            b -> 1e6 * (r_o + gpus * x_o
                + (r_w * (dense_share + (1 - dense_share) * (1 - pow(1 - expert_share, b))) + gpus * t_s) / b),
            [32., 256., 4.]
        ) AS per_output
    FROM gpu_rate_cards FINAL
) AS card
COMMENT 'What a million tokens cost on each hardware, with bounds, method and source: one row for each rate card';
