-- fanout_by_action_daily: how many requests does one action of each name set off, day by day?
-- In it are all actions, those without a request included, by the day of the action's start. Percentiles are nearest
-- rank: the smallest number of requests with at least that share of actions at or below it.
CREATE OR REPLACE VIEW fanout_by_action_daily
(
    day                     Date                 COMMENT 'Day on which the actions began, UTC',
    action_name             String               COMMENT 'Name of the action, empty if unknown',
    origin                  String               COMMENT 'Who asked: user, schedule, agent, system; the headline ratio is that of user',
    workload                String               COMMENT 'serving, rl_rollout, eval, batch, training; the headline ratio is that of serving',
    action_source           String               COMMENT 'declared, automatic or inferred',
    actions                 UInt64               COMMENT 'Actions',
    calls                   UInt64               COMMENT 'Model calls',
    requests                UInt64               COMMENT 'Inference requests',
    fanout_mean             Float64              COMMENT 'Requests per action, mean',
    fanout_p50              UInt64               COMMENT 'Requests per action, median',
    fanout_p90              UInt64               COMMENT 'Requests per action, 90th percentile',
    fanout_p99              UInt64               COMMENT 'Requests per action, 99th percentile',
    fanout_max              UInt64               COMMENT 'Requests per action, largest',
    call_fanout_mean        Float64              COMMENT 'Model calls per action, mean',
    amplification           Nullable(Float64)    COMMENT 'Requests per model call; NULL where no request was observed or there was no call',
    requests_observed_share Nullable(Float64)    COMMENT 'Share of the requests that was seen at the wire, 0 to 1; the rest is assumed, one a call; NULL without requests'
)
AS
SELECT
    toDate(cascade.started_at) AS day,
    toString(cascade.action_name) AS action_name,
    toString(cascade.origin) AS origin,
    toString(cascade.workload) AS workload,
    toString(cascade.action_source) AS action_source,
    count() AS actions,
    sum(cascade.model_calls) AS calls,
    sum(cascade.requests) AS requests,
    requests / actions AS fanout_mean,
    quantilesExactWeighted(0.5, 0.9, 0.99)(cascade.requests, 1)[1] AS fanout_p50,
    quantilesExactWeighted(0.5, 0.9, 0.99)(cascade.requests, 1)[2] AS fanout_p90,
    quantilesExactWeighted(0.5, 0.9, 0.99)(cascade.requests, 1)[3] AS fanout_p99,
    max(cascade.requests) AS fanout_max,
    calls / actions AS call_fanout_mean,
    if(sum(cascade.requests_observed) = 0 OR calls = 0, NULL, requests / calls) AS amplification,
    if(requests = 0, NULL, sum(cascade.requests_observed) / requests) AS requests_observed_share
FROM
(
    SELECT started_at, action_name, origin, workload, action_source, model_calls, requests, requests_observed
    FROM cascades FINAL
    WHERE started_at >= '1970-02-01'
) AS cascade
GROUP BY day, cascade.action_name, cascade.origin, cascade.workload, cascade.action_source
COMMENT 'Fan-out by day and name of the action';
