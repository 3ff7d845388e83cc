-- gpu_models_seen: which models were called at which servers, so that the few pairs can be matched with placements
-- without reading requests. Filled from the requests by a materialised view; a pair that comes again is the same row.
--
-- The sort key answers: was this model seen at this server?
CREATE TABLE IF NOT EXISTS gpu_models_seen
(
    model          String COMMENT 'Name of the model as the calls carry it',
    server_address String COMMENT 'Host that the requests went to, empty where it is unknown'
)
ENGINE = ReplacingMergeTree
ORDER BY (model, server_address)
COMMENT 'Pairs of model and server that requests were made to';
