-- gpu_attribution: whose work kept an engine's GPUs busy? Each minute's busy nanoseconds are shared out over the calls that were
-- under way, in proportion to the work that each did in that minute: its input between send and first token, its
-- output from there to its end. What the engine's own counters tell beyond these calls, the rounding, and a minute whose
-- work is not known are the row of nobody (is_unattributed): the rows of a minute add up to busy_ns exactly, and other
-- people's load is charged to none of our users. Nothing of it is stored: a call that arrives late has its share.
--
-- Shares depend on what an input token weighs beside an output token. The bounds take the three sets of rates that the rate card
-- has (value, low, high: other batches), the least and the most work that each call can have done, and let what the
-- counters do not tell of the others (how long their contexts were) be nothing or their mean.
--
-- It reads all samples and calls, whatever the condition; for the last hours ask gpu_attribution_since.
CREATE OR REPLACE VIEW gpu_attribution
(
    minute            DateTime('UTC')      COMMENT 'Minute, UTC',
    server_address    String               COMMENT 'Host that the call went to',
    model             String               COMMENT 'Model of the call',
    hardware          String               COMMENT 'GPU whose seconds these are, empty if not known',
    region            String               COMMENT 'Region of the engine, empty if not told',
    engine_workload   String               COMMENT 'Workload of the engine: serving, rl_rollout, eval, batch, training',
    is_unattributed   Bool                 COMMENT 'Whether this is what no traced call explains',
    is_shared         Bool                 COMMENT 'Whether the work of the minute is known; where it is not, all of it is unattributed',
    action_id         String               COMMENT 'Action of the call, 32 lower-case hexadecimal digits, empty if unattributed',
    action_name       String               COMMENT 'Name of the action',
    user_id           String               COMMENT 'User of the action, empty if unknown',
    trace_id          String               COMMENT 'Trace id of the call, 32 lower-case hexadecimal digits',
    span_id           String               COMMENT 'Span id of the call, 16 lower-case hexadecimal digits',
    busy_ns           UInt64               COMMENT 'Nanoseconds that the GPUs of the engine worked in the minute: the sum of gpu_ns of its rows',
    gpu_ns            UInt64               COMMENT 'Nanoseconds of hardware of this row',
    gpu_ns_low        UInt64               COMMENT 'Low bound of gpu_ns',
    gpu_ns_high       UInt64               COMMENT 'High bound of gpu_ns',
    modelled_gpu_seconds Float64           COMMENT 'What the rate card makes of the same work, in seconds of hardware; 0 if unattributed',
    modelled_gpu_seconds_low Float64       COMMENT 'Of the least work that it can have been, by the same rates',
    modelled_gpu_seconds_high Float64      COMMENT 'Of the most',
    action_started_at Nullable(DateTime64(9, 'UTC')) COMMENT 'Start of the action, UTC; NULL if unattributed'
)
AS
SELECT * FROM gpu_attribution_since(since = toDateTime(0, 'UTC'))
COMMENT 'Whose calls kept the GPUs of each engine busy, minute by minute; the rows of a minute add up to its busy time';
