-- branching_by_hop: how many children does a step have, hop by hop: the action, its agents, theirs, down to tools and
-- calls? Hop 0 is what stands directly below the action, hop 1 what stands below its steps, and so on. In it are all
-- actions of cascade_shapes, by the day of their start.
CREATE OR REPLACE VIEW branching_by_hop
(
    day               Date              COMMENT 'Day in which the actions began, UTC',
    action_name       String            COMMENT 'Name of the action, empty if unknown',
    origin            String            COMMENT 'Who asked: user, schedule, agent, system',
    workload          String            COMMENT 'serving, rl_rollout, eval, batch, training',
    action_source     String            COMMENT 'declared, automatic or inferred',
    hop               UInt32            COMMENT 'Steps above',
    actions           UInt64            COMMENT 'Actions that reach this hop',
    parents           UInt64            COMMENT 'Steps directly above this hop, those without children included; the actions themselves at hop 0',
    agents            UInt64            COMMENT 'Agent invocations at this hop',
    tools             UInt64            COMMENT 'Tool executions at this hop',
    calls             UInt64            COMMENT 'Model calls at this hop',
    requests          UInt64            COMMENT 'Inference requests of these calls',
    children_per_step Nullable(Float64) COMMENT 'Agents, tools and calls per parent, mean; NULL where no parent has arrived',
    agents_per_step   Nullable(Float64) COMMENT 'Agents per parent, mean; NULL where no parent has arrived',
    tools_per_step    Nullable(Float64) COMMENT 'Tools per parent, mean; NULL where no parent has arrived',
    calls_per_step    Nullable(Float64) COMMENT 'Model calls per parent, mean; NULL where no parent has arrived'
)
AS
SELECT
    toDate(shape.started_at, 'UTC') AS day,
    toString(shape.action_name) AS action_name,
    toString(shape.origin) AS origin,
    toString(shape.workload) AS workload,
    toString(shape.action_source) AS action_source,
    shape.at_hop AS hop,
    count() AS actions,
    sum(shape.above) AS parents,
    sum(shape.of_agents) AS agents,
    sum(shape.of_tools) AS tools,
    sum(shape.of_calls) AS calls,
    sum(shape.of_requests) AS requests,
    if(parents = 0, NULL, (agents + tools + calls) / parents) AS children_per_step,
    if(parents = 0, NULL, agents / parents) AS agents_per_step,
    if(parents = 0, NULL, tools / parents) AS tools_per_step,
    if(parents = 0, NULL, calls / parents) AS calls_per_step
FROM
(
    SELECT
        started_at, action_name, origin, workload, action_source,
        at_hop, above, of_agents, of_tools, of_calls, of_requests
    FROM shapes FINAL
    ARRAY JOIN
        `hops.hop` AS at_hop, `hops.parents` AS above, `hops.agents` AS of_agents, `hops.tools` AS of_tools,
        `hops.calls` AS of_calls, `hops.requests` AS of_requests
    WHERE started_at >= '1970-02-01'
) AS shape
GROUP BY day, action_name, origin, workload, action_source, hop
COMMENT 'Children per step, hop by hop, by day and name of the action';
