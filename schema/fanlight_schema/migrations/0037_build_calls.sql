-- build_calls: requests and work features of each call.
--
-- The features are those of fanlight_schema/gpu/features.py: n u c o a k as value, low and high bound. A refused request
-- did no work. Of a request whose answer is not known, the low bound is nothing for time-outs and server errors, else
-- what was seen, and the high bound the token limit. Cache reads that were not reported are none for value and high
-- bound; for the low bound all but the last block of 16 tokens, where an earlier call could have filled the cache.
-- The demand of a call stands in the hour of its last request: those before it were refused or lost.
CREATE OR REPLACE VIEW build_calls AS
WITH
    requested AS
    (
        SELECT
            * EXCEPT (sent, alike),
            arrayMax(arrayPushBack(sent.start_ns, call_start_ns)) AS last_sent_ns,
            toUInt32(multiIf(
                NOT counts, 0,
                class = 2, length(outcomes),
                isNotNull(shown.requests), assumeNotNull(shown.requests),
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
            if(answered > 0, 0, coalesce(o, 0)) AS o_seen,
            greatest(o_seen, coalesce(toFloat64(shown.max_tokens) * answers, 16384)) AS o_most,
            coalesce(c, if(has_earlier OR shown.session_id != '', 16 * floor(greatest(coalesce(i, 0) - 1, 0) / 16), 0)) AS c_most
        FROM sorted_out
    ),
    shaped AS
    (
        -- value, low, high: each the answered requests and those whose answer is not known, as (requests, cached, output)
        SELECT
            *,
            arrayMap(
                shape -> [
                    shape.1,
                    shape.1 * (i_known - shape.2),
                    shape.1 * shape.2,
                    shape.1 * shape.3,
                    shape.1 * (i_known - shape.2) * (shape.2 + (i_known - shape.2) / 2) / sequences,
                    shape.1 * shape.3 * (i_known + shape.3 / (2 * answers))
                ],
                [
                    (toFloat64(answered), c_value, o_answered), (toFloat64(cut + lost), c_value, o_seen),
                    (toFloat64(answered), c_most, o_answered), (toFloat64(cut), c_most, o_seen),
                    (toFloat64(answered), c_value, o_answered), (toFloat64(cut + lost), c_value, o_most)
                ]
            ) AS shapes
        FROM bounded
    )
SELECT
    *,
    if(is_unmeasured, [], arrayMap(
        (of_answered, of_others) -> of_answered + of_others,
        arrayConcat(shapes[1], shapes[3], shapes[5]),
        arrayConcat(shapes[2], shapes[4], shapes[6])
    )) AS work,
    toUInt32(if(counts AND isNull(c), answered + cut + lost, 0)) AS cache_unknown,
    toUInt32(if(counts AND is_unmeasured, answered + cut + lost, 0)) AS unmeasured,
    toStartOfHour(fromUnixTimestamp64Nano(last_sent_ns, 'UTC')) AS call_hour
FROM shaped
COMMENT 'Calls of the open build with requests and work features';
