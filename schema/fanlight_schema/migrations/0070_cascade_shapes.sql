-- cascade_shapes: how deep and wide is each action, and on what did its time go? One row per action, up to some ten
-- seconds behind `actions`; an action that was counted anew is missing until its shape is computed again.
--
-- The time is that of the critical path (CRISP: Zhang et al., USENIX ATC 2022): walked backwards from the action's end,
-- at each span the child that ended last before the point reached, and so every moment belongs to one span. The parts
-- add up to duration_s. What inference k times faster would save is at most model_s (1 - 1/k), and less where another
-- path becomes the longest.
CREATE OR REPLACE VIEW cascade_shapes
(
    action_id      String               COMMENT 'Action id, 32 lower-case hexadecimal digits',
    action_name    String               COMMENT 'Name of the action, empty if unknown',
    action_source  String               COMMENT 'declared, automatic or inferred',
    origin         String               COMMENT 'Who asked: user, schedule, agent, system',
    workload       String               COMMENT 'serving, rl_rollout, eval, batch, training',
    user_id        String               COMMENT 'User of the action, empty if unknown',
    started_at     DateTime64(9, 'UTC') COMMENT 'Start of the action, UTC',
    spans          UInt64               COMMENT 'Spans',
    orphans        UInt64               COMMENT 'Spans whose parent has not arrived; in the tree they stand below the root',
    depth          UInt64               COMMENT 'Steps (agents and tools) in the longest chain of steps',
    width          UInt64               COMMENT 'Most model calls in flight at once',
    critical_spans UInt64               COMMENT 'Spans on the critical path',
    duration_s     Float64              COMMENT 'Length of the critical path: the duration of the action, seconds',
    model_s        Float64              COMMENT 'Of that, in requests to models, seconds',
    tool_s         Float64              COMMENT 'Of that, in tools themselves, seconds',
    waiting_s      Float64              COMMENT 'Of that, between the requests of a call that was sent again (back-off), seconds',
    agent_s        Float64              COMMENT 'Of that, the rest: agents and the app''s own code, seconds'
)
AS
SELECT
    lower(hex(shape.action_id)) AS action_id,
    toString(shape.action_name) AS action_name,
    toString(shape.action_source) AS action_source,
    toString(shape.origin) AS origin,
    toString(shape.workload) AS workload,
    toString(shape.user_id) AS user_id,
    shape.started_at AS started_at,
    shape.spans AS spans,
    shape.orphans AS orphans,
    shape.depth AS depth,
    shape.width AS width,
    shape.critical_spans AS critical_spans,
    shape.duration_ns / 1e9 AS duration_s,
    shape.model_ns / 1e9 AS model_s,
    shape.tool_ns / 1e9 AS tool_s,
    shape.waiting_ns / 1e9 AS waiting_s,
    (toInt64(shape.duration_ns) - toInt64(shape.model_ns + shape.tool_ns + shape.waiting_ns)) / 1e9 AS agent_s
FROM (SELECT * FROM shapes FINAL WHERE started_at >= '1970-02-01') AS shape
COMMENT 'One row per action: depth, width, and what its time went on';
