-- gpu_attribution_since: gpu_attribution of samples from `since` on, and of actions that began at most a day before it: the first minute is cut. A condition on gpu_attribution is not seen
-- by the windows below it, so whoever needs the last hours asks this:
-- SELECT ... FROM gpu_attribution_since(since = now() - INTERVAL 3 HOUR)
CREATE OR REPLACE VIEW gpu_attribution_since
AS
WITH
    engine AS
    (
        SELECT
            minute, server_address, model, region, workload, hardware, assumeNotNull(told.busy_ns) AS busy_ns,
            isNotNull(uncached_tokens) AS is_told,
            requests,
            [ifNull(uncached_tokens, 0), ifNull(cached_tokens, 0), ifNull(output_tokens, 0)] AS tokens
        FROM engine_minutes_since(since = {since:DateTime('UTC')}) AS told
        WHERE isNotNull(told.busy_ns)
    ),
    -- Each call with the ends of its prefill and its decode; where nobody told of the first token, both last from begin to end.
    asked AS
    (
        SELECT
            action_id, action_name, user_id, action_started_at, trace, id, model, server_address, work, begins_ns, ends_ns,
            if(isNull(ttft_ns), ends_ns, least(ends_ns, begins_ns + assumeNotNull(ttft_ns))) AS prefilled_ns,
            if(isNull(ttft_ns), begins_ns, least(ends_ns, begins_ns + assumeNotNull(ttft_ns))) AS decodes_ns
        FROM
        (
            SELECT
                action_id, action_name, user_id, started_at AS action_started_at, trace, id, model, server_address, arrayResize(work, 18) AS work,
                toUnixTimestamp64Nano(began) AS begins_ns,
                toUnixTimestamp64Nano(began) + toInt64(least(took_ns, 86400000000000)) AS ends_ns,
                if(isNull(ttft_s), NULL, toInt64(greatest(0, least(86400, ttft_s)) * 1e9)) AS ttft_ns
            FROM cascades FINAL
            ARRAY JOIN
                `calls.id` AS id, `calls.trace_id` AS trace, `calls.started_at` AS began, `calls.duration_ns` AS took_ns,
                `calls.model` AS model, `calls.server_address` AS server_address, `calls.ttft_s` AS ttft_s, `calls.work` AS work
            WHERE started_at >= toDateTime(greatest(toUnixTimestamp({since:DateTime('UTC')}), 32 * 86400) - 86400, 'UTC')
                AND notEmpty(work)
                AND has((SELECT groupUniqArray((toString(server_address), toString(model))) FROM engine_samples), (toString(server_address), toString(model)))
        )
    ),
    -- The same in each minute that it touches, and what part of its prefill and of its decode lies there.
    under_way AS
    (
        SELECT
            *,
            toDateTime(minute_number * 60, 'UTC') AS minute,
            if(
                prefilled_ns = begins_ns, intDiv(begins_ns, 60000000000) = minute_number,
                greatest(0, least(prefilled_ns, (minute_number + 1) * 60000000000) - greatest(begins_ns, minute_number * 60000000000)) / (prefilled_ns - begins_ns)
            ) AS p,
            if(
                ends_ns = decodes_ns, intDiv(greatest(decodes_ns, begins_ns + 1) - 1, 60000000000) = minute_number,
                greatest(0, least(ends_ns, (minute_number + 1) * 60000000000) - greatest(decodes_ns, minute_number * 60000000000)) / (ends_ns - decodes_ns)
            ) AS d
        FROM
        (
            SELECT *, arrayJoin(range(intDiv(begins_ns, 60000000000), intDiv(greatest(ends_ns, begins_ns + 1) - 1, 60000000000) + 1)) AS minute_number
            FROM asked
        )
    ),
    worked AS
    (
        SELECT
            action_id, action_name, user_id, action_started_at, trace, id, model, server_address, minute,
            arrayMap((one, part) -> one * part, work, [p, p, p, d, p, d, p, p, p, d, p, d, p, p, p, d, p, d]) AS parts
        FROM under_way
        WHERE p > 0 OR d > 0
    ),
    -- Every step below is a query of its own: names that stand for expressions in which names stand for expressions would be
    -- written out, and planning took a minute.
    gathered AS
    (
        SELECT
            e.minute AS minute, e.server_address AS server_address, e.model AS model,
            any(e.region) AS region, any(e.workload) AS workload, any(e.hardware) AS hardware, any(e.busy_ns) AS busy_ns,
            any(e.requests) AS requests, any(e.tokens) AS tokens,
            any(e.is_told) AND notEmpty(any(rates.rates)) AS is_shared,
            groupArrayIf((c.action_id, c.action_name, c.user_id, c.action_started_at, c.trace, c.id), notEmpty(c.parts)) AS all_calls,
            groupArrayIf(c.parts, notEmpty(c.parts)) AS all_works,
            [any(rates.rates), any(rates.rates_low), any(rates.rates_high)] AS all_kinds
        FROM engine AS e
        LEFT JOIN worked AS c
            ON e.minute = c.minute AND e.server_address = c.server_address AND e.model = c.model
        ASOF LEFT JOIN (SELECT model, server_address, valid_from, rates, rates_low, rates_high FROM placed_rates) AS rates
            ON e.model = rates.model AND e.server_address = rates.server_address AND e.minute >= rates.valid_from
        GROUP BY minute, server_address, model
    ),
    traced AS
    (
        SELECT
            minute, server_address, model, region, workload, hardware, busy_ns, requests, tokens, is_shared,
            if(is_shared, all_calls, []) AS calls,
            if(is_shared, all_works, []) AS works,
            if(is_shared, all_kinds, []) AS kinds,
            if(is_shared, arrayMap(place -> arraySum(work -> work[place], all_works), [1, 2, 3, 4]), [0., 0., 0., 0.]) AS traced
        FROM gathered
    ),
    -- What the counters tell beyond the calls: requests, uncached, cached and output tokens.
    beyond AS
    (
        SELECT
            *,
            [
                if(isNull(requests), if(traced[2] > 0, traced[1] * greatest(0, tokens[1] - traced[2]) / traced[2], 1), greatest(0, ifNull(requests, 0) - traced[1])),
                greatest(0, tokens[1] - traced[2]), greatest(0, tokens[2] - traced[3]), greatest(0, tokens[3] - traced[4])
            ] AS others
        FROM traced
    ),
    alike AS
    (
        SELECT
            *,
            arrayConcat(
                others,
                [
                    others[2] * (others[3] + others[2] / 2) / greatest(1, others[1]),
                    others[4] * (others[2] + others[3] + others[4] / 2) / greatest(1, others[1])
                ]
            ) AS others_mean
        FROM beyond
    ),
    -- Whole numbers from here on, in picoseconds of work, so that shares add up exactly.
    weighed AS
    (
        SELECT
            minute, server_address, model, region, workload, hardware, busy_ns, is_shared, calls, works,
            arrayMap(kind -> toUInt64(1e12 * arrayDotProduct(kind, others_mean)), kinds) AS rest_most,
            arrayMap(kind -> toUInt64(1e12 * arrayDotProduct(arraySlice(kind, 1, 4), others)), kinds) AS rest_least,
            arrayMap(kind -> arrayMap(work -> toUInt64(1e12 * arrayDotProduct(kind, arraySlice(work, 1, 6))), works), kinds) AS did,
            arrayMap(kind -> arrayMap(work -> toUInt64(1e12 * arrayDotProduct(kind, arraySlice(work, 7, 6))), works), kinds) AS did_least,
            arrayMap(kind -> arrayMap(work -> toUInt64(1e12 * arrayDotProduct(kind, arraySlice(work, 13, 6))), works), kinds) AS did_most
        FROM alike
    ),
    added AS
    (
        SELECT
            *,
            toUInt128(arraySum(did[1])) + rest_most[1] AS whole,
            arrayMap(most -> toUInt128(arraySum(most)), did_most) AS sum_most,
            arrayMap(least -> toUInt128(arraySum(least)), did_least) AS sum_least
        FROM weighed
    ),
    shared AS
    (
        SELECT
            minute, server_address, model, region, workload, hardware, busy_ns, is_shared, calls,
            arrayMap(n -> (did[1][n] / 1e12, did_least[1][n] / 1e12, did_most[1][n] / 1e12), arrayEnumerate(works)) AS modelled,
            arrayMap(n -> if(whole = 0, toUInt64(0), toUInt64(intDiv(toUInt128(busy_ns) * did[1][n], whole))), arrayEnumerate(works)) AS gpu_ns,
            arrayMap(
                n -> arrayMin(
                    (least, most, sum, rest) -> toUInt64(intDiv(toUInt128(busy_ns) * least[n], greatest(toUInt128(1), least[n] + (sum - most[n]) + rest))),
                    did_least, did_most, sum_most, rest_most
                ),
                arrayEnumerate(works)
            ) AS ns_low,
            arrayMap(
                n -> arrayMax(
                    (least, most, sum, rest) -> toUInt64(intDiv(toUInt128(busy_ns) * most[n], greatest(toUInt128(1), most[n] + (sum - least[n]) + rest))),
                    did_least, did_most, sum_least, rest_least
                ),
                arrayEnumerate(works)
            ) AS ns_high
        FROM added
    ),
    bounded AS
    (
        SELECT
            minute, server_address, model, region, workload, hardware, busy_ns, is_shared, calls, modelled, gpu_ns,
            arrayMap((value, low) -> least(value, low), gpu_ns, ns_low) AS gpu_ns_low,
            arrayMap((value, high) -> greatest(value, high), gpu_ns, ns_high) AS gpu_ns_high
        FROM shared
    )
SELECT
    minute, server_address, model, hardware, region, workload AS engine_workload,
    row.1 AS is_unattributed,
    is_shared,
    if(row.1, '', lower(hex(row.2.1))) AS action_id,
    toString(row.2.2) AS action_name,
    toString(row.2.3) AS user_id,
    if(row.1, '', lower(hex(row.2.5))) AS trace_id,
    if(row.1, '', leftPad(lower(hex(row.2.6)), 16, '0')) AS span_id,
    busy_ns,
    row.3 AS gpu_ns,
    row.4 AS gpu_ns_low,
    row.5 AS gpu_ns_high,
    row.6.1 AS modelled_gpu_seconds,
    row.6.2 AS modelled_gpu_seconds_low,
    row.6.3 AS modelled_gpu_seconds_high,
    if(row.1, NULL, row.2.4) AS action_started_at
FROM
(
    SELECT
        minute, server_address, model, region, workload, hardware, busy_ns, is_shared,
        arrayJoin(
            arrayPushBack(
                arrayMap((call, value, low, high, by_card) -> (false, call, value, low, high, by_card), calls, gpu_ns, gpu_ns_low, gpu_ns_high, modelled),
                (
                    true, calls[length(calls) + 1], toUInt64(busy_ns - arraySum(gpu_ns)),
                    toUInt64(busy_ns - least(busy_ns, arraySum(gpu_ns_high))), toUInt64(busy_ns - least(busy_ns, arraySum(gpu_ns_low))), (0., 0., 0.)
                )
            )
        ) AS row
    FROM bounded
)
COMMENT 'Whose calls kept the GPUs of each engine busy, minute by minute; the rows of a minute add up to its busy time, of samples from a time on';
