-- gpu_rate_cards: what one unit of work costs in GPU-seconds, per model, hardware, engine profile and time from
-- which it holds. A request's GPU-seconds are
--   r_n n + (r_u + gpus x_u) u + r_c c + (r_o + gpus x_o) o + r_a a + r_k k + r_w w + gpus t_s s
-- (work features n u c o a k w s: fanlight_schema/gpu/features.py). Rates are applied when asked, so one inserted
-- row re-prices the past.
--
-- The sort key answers: which rates hold for this model on this hardware and profile since when? A card that is
-- written again for the same key takes the place of the older one.
CREATE TABLE IF NOT EXISTS gpu_rate_cards
(
    model            LowCardinality(String) COMMENT 'Model of the catalogue',
    hardware         LowCardinality(String) COMMENT 'GPU of the catalogue',
    profile          LowCardinality(String) COMMENT 'Engine profile, for example tp4-bf16: GPUs of a replica and precision',
    valid_from       DateTime('UTC')        COMMENT 'Requests from this time on are priced with it, UTC',
    gpus             UInt16                 COMMENT 'GPUs of one replica: tensor times pipeline parallel',
    precision        LowCardinality(String) COMMENT 'Number format of weights and arithmetic: bf16, fp8, int4, fp4; empty where unknown',
    method           LowCardinality(String) COMMENT 'measured, calibrated, modelled or price_implied',
    r_n              Float64 COMMENT 'GPU-seconds per request',
    r_u              Float64 COMMENT 'GPU-seconds per uncached input token',
    r_c              Float64 COMMENT 'GPU-seconds per cached input token',
    r_o              Float64 COMMENT 'GPU-seconds per output token',
    r_a              Float64 COMMENT 'GPU-seconds per token pair of prefill attention',
    r_k              Float64 COMMENT 'GPU-seconds per token-step: one cached token read in one decode step',
    r_w              Float64 COMMENT 'GPU-seconds per pass over all weights',
    x_u              Float64 COMMENT 'Seconds of communication per uncached input token, on each GPU of the replica',
    x_o              Float64 COMMENT 'Seconds of communication per output token, on each GPU of the replica',
    t_s              Float64 COMMENT 'Seconds of overhead per engine step, on each GPU of the replica',
    dense_share      Float64 COMMENT 'Share of the weights that every step reads, 0 to 1; 1 for a dense model',
    expert_share     Float64 COMMENT 'Experts that one token uses over experts in all, 0 to 1; 1 for a dense model',
    low_factor       Float64 COMMENT 'Rates times this are the low bound, at most 1',
    high_factor      Float64 COMMENT 'Rates times this are the high bound, at least 1',
    reference_factor Float64 COMMENT 'Seconds of the reference GPU (H100 SXM) that one second of this hardware is worth',
    source           String  COMMENT 'Where the rates are from',
    rates_low        Array(Float64) COMMENT 'Low bounds per request, uncached, cached and output token, token pair and token-step, where low_factor is not it; else empty',
    rates_high       Array(Float64) COMMENT 'High bounds of the same, where high_factor is not it; else empty',
    written_at       DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When the card was written, UTC; the latest counts'
)
ENGINE = ReplacingMergeTree(written_at)
ORDER BY (model, hardware, profile, valid_from)
COMMENT 'Rates of GPU-seconds per unit of work; the newest row of a key counts';
