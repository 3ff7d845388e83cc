-- build_calls: requests and work features of each call.
--
-- The features are those of fanlight_schema/gpu/features.py: n u c o a k as value, low and high bound. A refused request
-- did no work. Of a request whose answer is not known, the low bound is nothing for time-outs and server errors, else
-- what was seen, and the high bound the token limit, or what fits into the time that the engine can have worked on it.
-- That is the request's own where it was streamed or a status came. Else, and where a server between gave up waiting
-- (408, 504, 524), the engine may have gone on after its client left, and the token limit stands alone. Cache reads that were not reported are none for value and high
-- bound; for the low bound all but the last block of 16 tokens, where an earlier call could have filled the cache.
-- A call whose process died before it said how many requests it sent has sent one at least.
-- Demand stands in the hour of each request: `earlier` has what was sent before the hour of the last request. That hour
-- has the rest: the call, its tokens, and requests that no span tells of.
CREATE OR REPLACE VIEW build_calls AS
WITH
    requested AS
    (
        SELECT
            * EXCEPT (sent, alike),
            arrayMap(
                ns -> toStartOfHour(fromUnixTimestamp64Nano(ns, 'UTC')),
                if(empty(sent), [call_start_ns], sent.start_ns)
            ) AS sent_hours,
            arrayMap(
                s -> if(
                    coalesce(s.http_status, if(coalesce(s.is_stream, false), 200, 0)) IN (0, 408, 504, 524) OR s.end_ns <= s.start_ns,
                    inf,
                    (s.end_ns - s.start_ns) / 1e9
                ),
                if(empty(sent), [shown], sent)
            ) AS worked_s,
            toUInt32(multiIf(
                NOT counts, 0,
                class = 2, length(outcomes),
                isNotNull(shown.requests), assumeNotNull(shown.requests),
                shown.error_type = 'process_died', greatest(length(sent), 1),
                shown.is_wire, length(sent),
                1
            )) AS request_count
        FROM build_pairs
    ),
    sorted_out AS
    (
        SELECT
            *,
            if(request_count = 0, 0, countEqual(outcomes, 'refused')) AS refused,
            if(request_count = 0, 0, countEqual(outcomes, 'answered')) AS answered,
            if(request_count = 0, 0, countEqual(outcomes, 'cut')) AS cut,
            greatest(toInt64(request_count) - toInt64(length(arrayFilter(outcome -> outcome != 'lost', outcomes))), 0) AS lost,
            toFloat64(input) AS i,
            toFloat64(if(isNull(cached), NULL, least(cached, input))) AS c,
            toFloat64(if(match(shown.operation, '(?i)embed'), coalesce(output, 0), output)) AS o,
            toFloat64(greatest(coalesce(shown.inputs, 1), 1)) AS sequences,
            toFloat64(greatest(coalesce(shown.choices, 1), 1)) AS answers
        FROM requested
    ),
    bounded AS
    (
        SELECT
            *,
            NOT counts OR (answered + cut + lost > 0 AND (isNull(i) OR (answered > 0 AND isNull(o)))) AS is_unmeasured,
            coalesce(i, 0) AS i_known,
            coalesce(c, 0) AS c_value,
            coalesce(o, 0) AS o_answered,
            coalesce(toFloat64(output), 0) AS o_known,
            if(answered > 0, 0, coalesce(o, 0)) AS o_seen,
            greatest(o_seen, coalesce(toFloat64(shown.max_tokens) * answers, 16384)) AS o_limit,
            arrayMap(
                (outcome, seconds) -> if(
                    request_count > 0 AND outcome IN ('cut', 'lost'),
                    greatest(o_seen, least(o_limit, seconds * 10500 * answers)),
                    0
                ),
                outcomes, worked_s
            ) AS o_most,
            toFloat64(greatest(lost - toInt64(countEqual(outcomes, 'lost')), 0)) AS untold,
            coalesce(c, if(has_earlier OR shown.session_id != '', 16 * floor(greatest(coalesce(i, 0) - 1, 0) / 16), 0)) AS c_most
        FROM sorted_out
    ),
    shaped AS
    (
        -- one request with so many cached tokens and so much output: an answered one as value and high bound, one whose
        -- answer is not known; and the same as low bound
        SELECT
            *,
            arrayMap(
                shape -> [
                    1,
                    i_known - shape.1,
                    shape.1,
                    shape.2,
                    (i_known - shape.1) * (shape.1 + (i_known - shape.1) / 2) / sequences,
                    shape.2 * (i_known + shape.2 / (2 * answers))
                ],
                [(c_value, o_answered), (c_value, o_seen), (c_most, o_answered), (c_most, o_seen)]
            ) AS shapes,
            [1, i_known - c_value, c_value, o_known, (i_known - c_value) * (c_value + (i_known - c_value) / 2), o_known * (i_known + o_known / 2)] AS of_tokens,
            arrayMax(sent_hours) AS call_hour,
            arrayFilter(hour -> hour != call_hour AND request_count > 0, arrayDistinct(sent_hours)) AS earlier_hours,
            [toInt64(answered), toInt64(cut), toInt64(lost), toInt64(refused)] AS sent_in_all,
            arrayMap(
                hour -> arrayMap(
                    outcome -> toInt64(arrayCount((o, h) -> o = outcome AND h = hour, outcomes, sent_hours)),
                    ['answered', 'cut', 'lost', 'refused']
                ),
                earlier_hours
            ) AS sent_earlier,
            -- most output of the requests whose answers are not known, and its squares: told ones by hour, others in the last
            arrayMap(
                (hour, others) -> [
                    arraySum((o, h) -> if(h = hour, o, 0), o_most, sent_hours) + others * o_limit,
                    arraySum((o, h) -> if(h = hour, o * o, 0), o_most, sent_hours) + others * o_limit * o_limit
                ],
                arrayPushFront(earlier_hours, call_hour),
                arrayPushFront(arrayResize([], length(earlier_hours), toFloat64(0)), untold)
            ) AS most_by_hour
        FROM bounded
    ),
    worked AS
    (
        -- in all, in the last hour, in each earlier one
        SELECT
            *,
            if(
                empty(earlier_hours),
                [sent_in_all],
                arrayConcat(
                    [sent_in_all],
                    [arrayMap((n, k) -> greatest(n - arraySum(arrayMap(before -> before[k], sent_earlier)), 0), sent_in_all, [1, 2, 3, 4])],
                    sent_earlier
                )
            ) AS sent_lists,
            if(
                empty(earlier_hours),
                most_by_hour,
                arrayPushFront(most_by_hour, [arraySum(arrayMap(m -> m[1], most_by_hour)), arraySum(arrayMap(m -> m[2], most_by_hour))])
            ) AS most_lists,
            arrayMap(
                (n, most) -> if(is_unmeasured, [], arrayMap(
                    (of_answered, of_others) -> of_answered + of_others,
                    arrayConcat(
                        arrayMap(x -> x * n[1], shapes[1]),
                        arrayMap(x -> x * n[1], shapes[3]),
                        arrayMap(x -> x * n[1], shapes[1])
                    ),
                    arrayConcat(
                        arrayMap(x -> x * (n[2] + n[3]), shapes[2]),
                        arrayMap(x -> x * n[2], shapes[4]),
                        arrayMap(
                            (x, o, k) -> if(o + k > 0, o * most[1] + k * (i_known * most[1] + most[2] / (2 * answers)), x * (n[2] + n[3])),
                            shapes[2], [0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 1]
                        )
                    )
                )),
                sent_lists, most_lists
            ) AS works
        FROM shaped
    )
SELECT
    * EXCEPT (shapes, of_tokens, sent_hours, worked_s, o_most, works, sent_lists, most_lists, most_by_hour, sent_earlier, sent_in_all, earlier_hours),
    works[1] AS work,
    -- the six of one answered request, which cascades computes again from the tokens when it is read
    if(work = arrayConcat(of_tokens, of_tokens, of_tokens), [toFloat64(1)], work) AS stored_work,
    toUInt32(if(counts AND isNull(c), answered + cut + lost, 0)) AS cache_unknown,
    toUInt32(if(counts AND is_unmeasured, answered + cut + lost, 0)) AS unmeasured,
    if(empty(earlier_hours), work, works[2]) AS last_work,
    arrayMap(
        (hour, n, its_work) -> (
            hour,
            toUInt64(arraySum(n)),
            its_work,
            toUInt64(if(counts AND isNull(c), n[1] + n[2] + n[3], 0)),
            toUInt64(if(counts AND is_unmeasured, n[1] + n[2] + n[3], 0))
        ),
        earlier_hours, sent_earlier, arraySlice(works, 3)
    ) AS earlier,
    toUInt64(greatest(request_count - arraySum(earlier.2), 0)) AS last_requests,
    toUInt64(greatest(cache_unknown - arraySum(earlier.4), 0)) AS last_cache_unknown,
    toUInt64(greatest(unmeasured - arraySum(earlier.5), 0)) AS last_unmeasured
FROM worked
COMMENT 'Calls of the open build with requests and work features';
