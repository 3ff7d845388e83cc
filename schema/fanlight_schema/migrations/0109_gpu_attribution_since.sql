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
    -- Each call in each minute that it touches: its share of prefill and of decode there.
    under_way AS
    (
        SELECT
            call.*,
            arrayJoin(range(intDiv(begins_ns, 60000000000), intDiv(greatest(ends_ns, begins_ns + 1) - 1, 60000000000) + 1)) AS minute_number,
            toDateTime(minute_number * 60, 'UTC') AS minute,
            minute_number * 60000000000 AS opens_ns,
            opens_ns + 60000000000 AS closes_ns,
            if(
                prefilled_ns = begins_ns, intDiv(begins_ns, 60000000000) = minute_number,
                greatest(0, least(prefilled_ns, closes_ns) - greatest(begins_ns, opens_ns)) / (prefilled_ns - begins_ns)
            ) AS p,
            if(
                ends_ns = decodes_ns, intDiv(greatest(decodes_ns, begins_ns + 1) - 1, 60000000000) = minute_number,
                greatest(0, least(ends_ns, closes_ns) - greatest(decodes_ns, opens_ns)) / (ends_ns - decodes_ns)
            ) AS d,
            arrayMap((one, part) -> one * part, arrayResize(work, 18), [p, p, p, d, p, d, p, p, p, d, p, d, p, p, p, d, p, d]) AS parts
        FROM
        (
            SELECT
                action_id, action_name, user_id, started_at AS action_started_at,
                trace, id, model, server_address, work,
                toUnixTimestamp64Nano(began) AS begins_ns,
                begins_ns + toInt64(least(took_ns, 86400000000000)) AS ends_ns,
                if(isNull(ttft_s), ends_ns, least(ends_ns, begins_ns + toInt64(greatest(0, least(86400, ifNull(ttft_s, 0))) * 1e9))) AS prefilled_ns,
                if(isNull(ttft_s), begins_ns, prefilled_ns) AS decodes_ns
            FROM cascades FINAL
            ARRAY JOIN
                `calls.id` AS id, `calls.trace_id` AS trace, `calls.started_at` AS began, `calls.duration_ns` AS took_ns,
                `calls.model` AS model, `calls.server_address` AS server_address, `calls.ttft_s` AS ttft_s, `calls.work` AS work
            WHERE started_at >= toDateTime(greatest(toUnixTimestamp({since:DateTime('UTC')}), 32 * 86400) - 86400, 'UTC')
                AND notEmpty(work)
                AND has((SELECT groupUniqArray((toString(server_address), toString(model))) FROM engine_samples), (toString(server_address), toString(model)))
        ) AS call
    ),
    rated AS
    (
        SELECT
            u.action_id AS action_id, u.action_name AS action_name, u.user_id AS user_id, u.action_started_at AS action_started_at,
            u.trace AS trace, u.id AS id, u.model AS model, u.server_address AS server_address, u.minute AS minute, u.parts AS parts
        FROM under_way AS u
        WHERE u.p > 0 OR u.d > 0
    ),
    -- Per engine and minute: what the calls did, what the counters tell beyond them, and what all that weighs by each set of rates.
    weighed AS
    (
        SELECT
            e.minute AS minute, e.server_address AS server_address, e.model AS model,
            any(e.region) AS region, any(e.workload) AS workload, any(e.hardware) AS hardware, any(e.busy_ns) AS busy_ns,
            any(e.is_told) AND notEmpty(any(rates.rates)) AS is_shared,
            if(is_shared, groupArrayIf((c.action_id, c.action_name, c.user_id, c.action_started_at, c.trace, c.id), notEmpty(c.parts)), []) AS calls,
            if(is_shared, groupArrayIf(c.parts, notEmpty(c.parts)), []) AS works,
            [any(rates.rates), any(rates.rates_low), any(rates.rates_high)] AS kinds,
            arrayMap(place -> arraySum(work -> work[place], works), [1, 2, 3, 4]) AS traced,
            [
                if(isNull(any(e.requests)), if(traced[2] > 0, traced[1] * (greatest(0, any(e.tokens)[1] - traced[2])) / traced[2], 1), greatest(0, ifNull(any(e.requests), 0) - traced[1])),
                greatest(0, any(e.tokens)[1] - traced[2]),
                greatest(0, any(e.tokens)[2] - traced[3]),
                greatest(0, any(e.tokens)[3] - traced[4])
            ] AS others,
            (others[2] + others[3]) / greatest(1, others[1]) AS context,
            arrayConcat(others, [others[2] * (others[3] + others[2] / 2) / greatest(1, others[1]), others[4] * (context + others[4] / greatest(1, others[1]) / 2)]) AS others_mean,
            -- Whole numbers from here on, in picoseconds of work, so that shares add up exactly.
            arrayMap(kind -> toUInt64(1e12 * arrayDotProduct(kind, others_mean)), if(is_shared, kinds, [])) AS rest_most,
            arrayMap(kind -> toUInt64(1e12 * arrayDotProduct(arraySlice(kind, 1, 4), others)), if(is_shared, kinds, [])) AS rest_least,
            arrayMap(kind -> arrayMap(work -> toUInt64(1e12 * arrayDotProduct(kind, arraySlice(work, 1, 6))), works), if(is_shared, kinds, [])) AS did,
            arrayMap(kind -> arrayMap(work -> toUInt64(1e12 * arrayDotProduct(kind, arraySlice(work, 7, 6))), works), if(is_shared, kinds, [])) AS did_least,
            arrayMap(kind -> arrayMap(work -> toUInt64(1e12 * arrayDotProduct(kind, arraySlice(work, 13, 6))), works), if(is_shared, kinds, [])) AS did_most
        FROM engine AS e
        LEFT JOIN rated AS c
            ON e.minute = c.minute AND e.server_address = c.server_address AND e.model = c.model
        ASOF LEFT JOIN (SELECT model, server_address, valid_from, rates, rates_low, rates_high FROM placed_rates) AS rates
            ON e.model = rates.model AND e.server_address = rates.server_address AND e.minute >= rates.valid_from
        GROUP BY minute, server_address, model
    ),
    shared AS
    (
        SELECT
            minute, server_address, model, region, workload, hardware, busy_ns, is_shared, calls,
            arrayMap(n -> (did[1][n] / 1e12, did_least[1][n] / 1e12, did_most[1][n] / 1e12), arrayEnumerate(works)) AS modelled,
            if(is_shared, toUInt128(arraySum(did[1])) + rest_most[1], 0) AS whole,
            if(whole = 0, arrayMap(one -> toUInt64(0), works), arrayMap(one -> toUInt64(intDiv(toUInt128(busy_ns) * one, whole)), did[1])) AS gpu_ns,
            arrayMap(
                n -> arrayMin(
                    (most, least, rest) -> if(toUInt128(least[n]) + (arraySum(most) - most[n]) + rest = 0, 0, toUInt64(intDiv(toUInt128(busy_ns) * least[n], toUInt128(least[n]) + (arraySum(most) - most[n]) + rest))),
                    did_most, did_least, rest_most
                ),
                arrayEnumerate(works)
            ) AS gpu_ns_low,
            arrayMap(
                n -> arrayMax(
                    (most, least, rest) -> if(toUInt128(most[n]) + (arraySum(least) - least[n]) + rest = 0, 0, toUInt64(intDiv(toUInt128(busy_ns) * most[n], toUInt128(most[n]) + (arraySum(least) - least[n]) + rest))),
                    did_most, did_least, rest_least
                ),
                arrayEnumerate(works)
            ) AS gpu_ns_high,
            toUInt64(busy_ns - arraySum(gpu_ns)) AS unattributed_ns,
            arraySum(arrayMap((value, high) -> greatest(value, high), gpu_ns, gpu_ns_high)) AS at_most,
            arraySum(arrayMap((value, low) -> least(value, low), gpu_ns, gpu_ns_low)) AS at_least
        FROM weighed
    )
SELECT
    minute, server_address, model, hardware, region, workload AS engine_workload,
    row.1 AS is_unattributed,
    is_shared,
    if(is_unattributed, '', lower(hex(row.2.1))) AS action_id,
    toString(row.2.2) AS action_name,
    toString(row.2.3) AS user_id,
    if(is_unattributed, '', lower(hex(row.2.5))) AS trace_id,
    if(is_unattributed, '', leftPad(lower(hex(row.2.6)), 16, '0')) AS span_id,
    busy_ns,
    row.3 AS gpu_ns,
    least(row.3, row.4) AS gpu_ns_low,
    greatest(row.3, row.5) AS gpu_ns_high,
    row.6.1 AS modelled_gpu_seconds,
    row.6.2 AS modelled_gpu_seconds_low,
    row.6.3 AS modelled_gpu_seconds_high,
    if(is_unattributed, NULL, row.2.4) AS action_started_at
FROM
(
    SELECT
        minute, server_address, model, region, workload, hardware, busy_ns, is_shared,
        arrayJoin(
            arrayPushBack(
                arrayMap((call, value, low, high, by_card) -> (false, call, value, low, high, by_card), calls, gpu_ns, gpu_ns_low, gpu_ns_high, modelled),
                (
                    true, calls[length(calls) + 1], unattributed_ns,
                    toUInt64(busy_ns - least(busy_ns, at_most)), toUInt64(busy_ns - least(busy_ns, at_least)), (0., 0., 0.)
                )
            )
        ) AS row
    FROM shared
)
COMMENT 'Whose calls kept the GPUs of each engine busy, minute by minute; the rows of a minute add up to its busy time, of samples from a time on';
