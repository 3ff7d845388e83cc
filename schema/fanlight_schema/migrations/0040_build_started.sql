-- build_started: a row here makes cascades_mv compute the open build; nothing is stored. Without this step the
-- computation would be planned every two seconds, also when there is nothing to do.
CREATE TABLE IF NOT EXISTS build_started
(
    opened UInt64 COMMENT 'Build that is to be computed'
)
ENGINE = Null
COMMENT 'Starts the computation of the open build';
