-- engine_minutes_since: engine_minutes of samples from `since` on: the first minute is cut. A condition on engine_minutes is not seen
-- by the windows below it, so whoever needs the last hours asks this:
-- SELECT ... FROM engine_minutes_since(since = now() - INTERVAL 3 HOUR)
CREATE OR REPLACE VIEW engine_minutes_since
AS
WITH
    replicas AS
    (
        SELECT
            minute_number, target, server_address, model,
            any(region) AS region,
            any(workload) AS workload,
            any(hardware) AS hardware,
            groupUniqArrayArray(gpu_ids) AS gpu_ids,
            sum(seen_ms) AS seen_ms,
            if(countIf(isNull(requests)) > 0, NULL, sum(part * requests)) AS requests,
            if(countIf(not is_told) > 0, NULL, sum(part * ifNull(uncached_tokens, input_tokens))) AS uncached_tokens,
            if(countIf(not is_told) > 0, NULL, sum(part * ifNull(cached_tokens, 0))) AS cached_tokens,
            if(countIf(not is_told) > 0, NULL, sum(part * output_tokens)) AS output_tokens
        FROM
        (
            SELECT
                *,
                toUnixTimestamp64Milli(begins_at) AS begins_ms,
                toUnixTimestamp64Milli(ends_at) AS ends_ms,
                arrayJoin(range(intDiv(begins_ms, 60000), intDiv(ends_ms - 1, 60000) + 1)) AS minute_number,
                least(ends_ms, (minute_number + 1) * 60000) - greatest(begins_ms, minute_number * 60000) AS seen_ms,
                seen_ms / (ends_ms - begins_ms) AS part,
                not restarted AND isNotNull(ifNull(uncached_tokens, input_tokens)) AND isNotNull(output_tokens) AS is_told
            FROM engine_windows_since(since = {since:DateTime('UTC')})
        )
        GROUP BY minute_number, target, server_address, model
    ),
    worked AS
    (
        SELECT
            minute_number, gpu, pod,
            any(hardware) AS hardware,
            if(sum(seen_ms) < 59000 OR countIf(isNull(busy_share)) > 0, NULL, sum(toUInt64(round(ifNull(busy_share, 0) * gpu_share * seen_ms * 1000000)))) AS busy_ns
        FROM
        (
            SELECT
                *,
                toUnixTimestamp64Milli(begins_at) AS begins_ms,
                toUnixTimestamp64Milli(ends_at) AS ends_ms,
                arrayJoin(range(intDiv(begins_ms, 60000), intDiv(ends_ms - 1, 60000) + 1)) AS minute_number,
                least(ends_ms, (minute_number + 1) * 60000) - greatest(begins_ms, minute_number * 60000) AS seen_ms
            FROM gpu_windows_since(since = {since:DateTime('UTC')})
        )
        GROUP BY minute_number, gpu, pod
    ),
    -- Which engine holds which GPU, and how much it worked in seconds of that GPU, by its own counters.
    held AS
    (
        SELECT
            replica.minute_number AS minute_number, replica.target AS target, replica.server_address AS server_address, replica.model AS model,
            replica.id AS id,
            gpu.gpu AS gpu,
            any(gpu.hardware) AS hardware,
            any(gpu.busy_ns) AS busy_ns,
            any(replica.work) AS work
        FROM
        (
            SELECT
                r.minute_number AS minute_number, r.target AS target, r.server_address AS server_address, r.model AS model,
                arrayJoin(r.gpu_ids) AS id,
                greatest(1, ifNull(r.requests, 1)) AS n,
                if(
                    empty(rates.rates), NULL,
                    rates.rates[1] * ifNull(r.requests, 0) + rates.rates[2] * r.uncached_tokens + rates.rates[3] * r.cached_tokens
                        + rates.rates[4] * r.output_tokens + rates.rates[5] * r.uncached_tokens * (r.cached_tokens + r.uncached_tokens / 2) / n
                        + rates.rates[6] * r.output_tokens * (r.uncached_tokens + r.cached_tokens + r.output_tokens / 2) / n
                ) AS work
            FROM (SELECT *, toDateTime(minute_number * 60, 'UTC') AS began FROM replicas WHERE notEmpty(gpu_ids)) AS r
            ASOF LEFT JOIN (SELECT model, server_address, valid_from, rates FROM placed_rates) AS rates
                ON r.model = rates.model AND r.server_address = rates.server_address AND r.began >= rates.valid_from
        ) AS replica
        LEFT JOIN
        (
            SELECT minute_number, gpu, hardware, busy_ns, arrayJoin(if(pod = '', [gpu], [gpu, concat('pod:', pod)])) AS id
            FROM worked
        ) AS gpu
            ON replica.minute_number = gpu.minute_number AND replica.id = gpu.id
        GROUP BY minute_number, target, server_address, model, id, gpu
    ),
    divided AS
    (
        SELECT
            minute_number, gpu,
            groupArray((target, server_address, model, hardware, work)) AS holders,
            any(busy_ns) AS busy,
            arrayMap(holder -> holder.5, holders) AS works,
            arraySum(arrayMap(one -> ifNull(one, 0), works)) AS whole,
            -- What is before and after each, cut to whole nanoseconds: the differences add up to busy exactly.
            arrayMap(
                until -> if(whole > 0, least(busy, toUInt64(busy * (until / whole))), if(length(holders) = 1, busy, NULL)),
                arrayCumSum(arrayMap(one -> ifNull(one, 0), works))
            ) AS cut,
            if(
                gpu = '' OR isNull(busy) OR (length(holders) > 1 AND (whole = 0 OR arrayExists(one -> isNull(one), works))),
                arrayResize(CAST([], 'Array(Nullable(UInt64))'), length(holders), NULL),
                arrayMap((until, n) -> toUInt64(if(n = length(holders), busy, until) - if(n = 1, 0, cut[n - 1])), cut, arrayEnumerate(cut))
            ) AS parts
        FROM (SELECT DISTINCT minute_number, target, server_address, model, gpu, hardware, busy_ns, work FROM held ORDER BY target, server_address, model)
        GROUP BY minute_number, gpu
    ),
    own AS
    (
        SELECT
            minute_number, holder.1 AS target, holder.2 AS server_address, holder.3 AS model,
            anyIf(holder.4, holder.4 != '') AS hardware,
            uniqExactIf(gpu, gpu != '') AS gpus,
            if(countIf(isNull(part)) > 0, NULL, sum(ifNull(part, 0))) AS busy_ns
        FROM divided
        ARRAY JOIN holders AS holder, parts AS part
        GROUP BY minute_number, target, server_address, model
    )
SELECT
    toDateTime(replicas.minute_number * 60, 'UTC') AS minute,
    replicas.server_address AS server_address,
    replicas.model AS model,
    any(replicas.region) AS region,
    any(replicas.workload) AS workload,
    if(anyIf(own.hardware, own.hardware != '') = '', any(replicas.hardware), anyIf(own.hardware, own.hardware != '')) AS hardware,
    count() AS replicas,
    sum(own.gpus) AS gpus,
    if(countIf(isNull(own.busy_ns) OR replicas.seen_ms < 59000) > 0, NULL, sum(ifNull(own.busy_ns, 0))) AS busy_ns,
    if(countIf(isNull(replicas.requests)) > 0, NULL, sum(replicas.requests)) AS requests,
    if(countIf(isNull(replicas.uncached_tokens)) > 0, NULL, sum(replicas.uncached_tokens)) AS uncached_tokens,
    if(countIf(isNull(replicas.cached_tokens)) > 0, NULL, sum(replicas.cached_tokens)) AS cached_tokens,
    if(countIf(isNull(replicas.output_tokens)) > 0, NULL, sum(replicas.output_tokens)) AS output_tokens
FROM replicas
LEFT JOIN
(
    SELECT minute_number, target, server_address, model, hardware, gpus, toNullable(busy_ns) AS busy_ns FROM own
) AS own
    ON replicas.minute_number = own.minute_number AND replicas.target = own.target
        AND replicas.server_address = own.server_address AND replicas.model = own.model
GROUP BY minute, server_address, model
COMMENT 'How long the GPUs of an engine worked in each minute, and on what, of samples from a time on';
