-- Gives each hour in which an engine's GPUs were seen to work rates of its own: those of its placement, times what the work took
-- (gpu_attribution) over what the placement's rates make of it. So every figure of demand is the measured one where there
-- is one, and nothing that is stored of calls is touched. The bounds are scaled to those of gpu_attribution.
--
-- An hour counts when nine of ten of its minutes are known. The last three hours are computed again and again, earlier ones
-- stay as they were: a call that arrives later is priced with the rates of its hour. Where no measured hour follows, a row
-- says that the placement's rates hold again; these rows follow cards and placements, however old they are.
--
-- A statement, no view: its analysis takes half a second, which only a store that has samples should pay (measured.py).
INSERT INTO gpu_rates
(
    model, server_address, valid_from, hardware, catalogue_model, profile, gpu_method, gpu_method_rank, reference_factor,
    rates, rates_low, rates_high, holds, checksum, written_at, is_deleted
)
WITH
    (SELECT toStartOfHour(toDateTime(max(scraped_at)) - 7200) FROM engine_samples) AS first_hour,
    (SELECT toDateTime(max(scraped_at)) FROM engine_samples) AS newest,
    measured AS
    (
        SELECT
            toStartOfHour(minute) AS hour, model, server_address,
            uniqExactIf(minute, is_shared) AS known,
            sumIf(gpu_ns, NOT is_unattributed) / 1e9 AS took,
            sumIf(gpu_ns_low, NOT is_unattributed) / 1e9 AS took_low,
            sumIf(gpu_ns_high, NOT is_unattributed) / 1e9 AS took_high,
            sum(modelled_gpu_seconds) AS modelled,
            sum(modelled_gpu_seconds_low) AS modelled_low,
            sum(modelled_gpu_seconds_high) AS modelled_high
        FROM gpu_attribution_since(since = (SELECT toDateTime(greatest(toUnixTimestamp(max(scraped_at)), 8000) - 8000) FROM engine_samples))
        WHERE minute >= first_hour
        GROUP BY hour, model, server_address
        HAVING known >= 0.9 * least(60, dateDiff('minute', hour, newest)) AND modelled_low > 0 AND took > 0
    ),
    -- All measured hours: those of the last three anew, earlier ones as they were written.
    known AS
    (
        SELECT
            hour, model, server_address, true AS is_new,
            round(took / modelled, 9) AS factor, round(took_low / modelled_low, 9) AS factor_low, round(took_high / modelled_high, 9) AS factor_high
        FROM measured
        UNION ALL
        SELECT valid_from, model, server_address, false, 1., 1., 1.
        FROM gpu_rates FINAL
        WHERE holds = 'hour' AND valid_from < first_hour
    ),
    hours AS
    (
        SELECT model, server_address, row.1 AS valid_from, row.2 AS holds, row.3 AS factor, row.4 AS factor_low, row.5 AS factor_high
        FROM
        (
            SELECT
                model, server_address,
                arrayJoin(arrayFilter(
                    row -> if(row.2 = 'hour', is_new, row.1 != next),
                    [(hour, 'hour', factor, factor_low, factor_high), (hour + 3600, 'after', 1., 1., 1.)]
                )) AS row
            FROM
            (
                SELECT
                    *,
                    leadInFrame(hour) OVER (
                        PARTITION BY model, server_address ORDER BY hour ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
                    ) AS next
                FROM known
            )
        )
    ),
    hold AS
    (
        SELECT
            h.model AS model, h.server_address AS server_address, h.valid_from AS valid_from, h.holds AS holds,
            plain.hardware AS hardware, plain.catalogue_model AS catalogue_model, plain.profile AS profile,
            if(h.holds = 'hour', 'measured', plain.gpu_method) AS gpu_method,
            if(h.holds = 'hour', 1, plain.gpu_method_rank) AS gpu_method_rank,
            plain.reference_factor AS reference_factor,
            if(h.holds = 'hour', arrayMap(rate -> rate * h.factor, plain.rates), plain.rates) AS rates,
            if(h.holds = 'hour', arrayMap(rate -> rate * h.factor_low, plain.rates), plain.rates_low) AS rates_low,
            if(h.holds = 'hour', arrayMap(rate -> rate * h.factor_high, plain.rates), plain.rates_high) AS rates_high,
            cityHash64(plain.checksum, h.holds, h.factor, h.factor_low, h.factor_high) AS checksum
        FROM hours AS h
        ASOF JOIN (SELECT * FROM placed_rates) AS plain
            ON h.model = plain.model AND h.server_address = plain.server_address AND h.valid_from >= plain.valid_from
    )
SELECT
    if(hold.checksum = 0, kept.model, hold.model) AS model,
    if(hold.checksum = 0, kept.server_address, hold.server_address) AS server_address,
    if(hold.checksum = 0, kept.valid_from, hold.valid_from) AS valid_from,
    hold.hardware AS hardware,
    hold.catalogue_model AS catalogue_model,
    hold.profile AS profile,
    hold.gpu_method AS gpu_method,
    hold.gpu_method_rank AS gpu_method_rank,
    hold.reference_factor AS reference_factor,
    hold.rates AS rates,
    hold.rates_low AS rates_low,
    hold.rates_high AS rates_high,
    if(hold.checksum = 0, kept.holds, hold.holds) AS holds,
    hold.checksum AS checksum,
    now64(6) AS written_at,
    hold.checksum = 0 AS is_deleted
FROM hold
FULL JOIN
(
    SELECT model, server_address, valid_from, holds, checksum
    FROM gpu_rates FINAL
    WHERE holds = 'after' OR (holds = 'hour' AND valid_from >= first_hour)
) AS kept
    ON hold.model = kept.model AND hold.server_address = kept.server_address AND hold.valid_from = kept.valid_from
WHERE hold.checksum != kept.checksum
