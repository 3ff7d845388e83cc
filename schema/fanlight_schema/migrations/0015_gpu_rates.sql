-- gpu_rates: the rates that hold for each model and server seen, ready to be joined: deriving them anew for each query
-- cost more than the query (planning 25 of 40 ms). A pair of model and server that comes for the first time gets its rates in
-- the insert that brings it (gpu_rates_mv); a new card or placement is seen within seconds (gpu_rates_rmv), at once where
-- a command of fanlight wrote it. A model without a placement has no row; what a price is made of is Nullable or empty, so
-- that a LEFT JOIN gives NULL for it, never 0. An hour in which an engine and its GPUs
-- were scraped has rates of its own (measured_rates.sql).
--
-- The sort key answers: which rates hold for this model at this server since when? The newest row of a key counts.
CREATE TABLE IF NOT EXISTS gpu_rates
(
    model            String               COMMENT 'Name of the model as the calls carry it',
    server_address   String               COMMENT 'Host that the requests went to, empty where it is unknown',
    valid_from       DateTime('UTC')      COMMENT 'Requests from this time on are priced with this row, UTC',
    hardware         Nullable(String)     COMMENT 'GPU whose seconds the rates are in',
    catalogue_model  Nullable(String)     COMMENT 'Model of the catalogue that the name stands for',
    profile          Nullable(String)     COMMENT 'Engine profile: GPUs of a replica and precision',
    gpu_method       Nullable(String)     COMMENT 'measured, calibrated, modelled or price_implied',
    gpu_method_rank  UInt8                COMMENT '1 measured, 2 calibrated, 3 modelled, 4 price_implied: the largest is the weakest',
    reference_factor Nullable(Float64)    COMMENT 'Seconds of the reference GPU (H100 SXM) per second of hardware',
    rates            Array(Float64)       COMMENT 'GPU-seconds of hardware per request, uncached input token, cached input token, output token, token pair of prefill attention, token-step of decode',
    rates_low        Array(Float64)       COMMENT 'Low bounds of rates, same units',
    rates_high       Array(Float64)       COMMENT 'High bounds of rates, same units',
    holds            LowCardinality(String) COMMENT 'card: since the rate card holds; hour: in one hour whose busy GPU-seconds are known; after: the card again after such hours',
    checksum         UInt64               COMMENT 'Hash of what the row says of a price',
    written_at       DateTime64(6, 'UTC') COMMENT 'When the row was written, UTC; the latest counts',
    is_deleted       UInt8                COMMENT '1 if these rates hold no longer'
)
ENGINE = ReplacingMergeTree(written_at, is_deleted)
ORDER BY (model, server_address, valid_from)
COMMENT 'What the work of each model and server seen costs; read with FINAL';
