"""How many GPU-seconds do users, models and regions demand, and how sure is that?"""

# ruff: noqa: E501 - SQL

from grafana_foundation_sdk.builders import dashboard as build

from .panels import board, number, rows, series
from .variables import IS_USER, is_any_of, listed, source, typed, workload

HOURS = (
    "$__timeFilter(hour)"
    f" AND {is_any_of('model', 'model')} AND {is_any_of('hardware', 'hardware')}"
    f" AND {is_any_of('region', 'region')} AND {is_any_of('workload', 'workload')}"
)
SUPPLY = (
    f"$__timeFilter(hour) AND {is_any_of('hardware', 'hardware')}"
    f" AND {is_any_of('region', 'region')} AND {is_any_of('workload', 'workload')}"
)
SECONDS = "sum(d.gpu_seconds) AS `GPU-s`, sum(d.gpu_seconds_low) AS low, sum(d.gpu_seconds_high) AS high"
BUSY = "sum(d.gpu_seconds) / 3600 AS GPUs, sum(d.gpu_seconds_low) / 3600 AS low, sum(d.gpu_seconds_high) / 3600 AS high"


def _over_time(title: str, column: str, what: str) -> object:
    return series(
        title,
        f"GPU-seconds of each hour by {what}, in seconds of the reference GPU. The bounds of each are in the"
        " table below.",
        f"SELECT hour AS time, {column}, sum(d.gpu_seconds) AS `GPU-s`\nFROM gpu_demand_hourly AS d\nWHERE {HOURS}\n"
        f"GROUP BY time, {column}\nORDER BY time, {column}",
        stacked=True,
        bars=True,
    )


def dashboard() -> build.Dashboard:
    return (
        board(
            "fanlight-gpu-demand",
            "GPU demand",
            "GPU-seconds that requests kept chips busy, each with bounds and method.",
            [
                source(),
                *(
                    listed(
                        column,
                        column.capitalize(),
                        f"SELECT DISTINCT {column} FROM gpu_demand_hourly WHERE $__timeFilter(hour)",
                    )
                    for column in ("model", "hardware", "region")
                ),
                workload(),
                typed("user", "User", "One user, for the panels of users; empty for all"),
            ],
        )
        .with_panel(
            number(
                "GPU-seconds",
                "Demand in the time chosen, in seconds of the reference GPU (H100 SXM unless set), with its bounds.",
                f"SELECT {SECONDS}\nFROM gpu_demand_hourly AS d\nWHERE {HOURS}",
                width=9,
            )
        )
        .with_panel(
            number(
                "GPUs kept busy",
                "Mean number of reference GPUs that this demand keeps busy at once (Little's law): GPU-seconds over"
                " the seconds of the hours that had any.",
                "SELECT sum(d.gpu_seconds) / (3600 * uniqExact(hour)) AS GPUs,"
                " sum(d.gpu_seconds_low) / (3600 * uniqExact(hour)) AS low,"
                " sum(d.gpu_seconds_high) / (3600 * uniqExact(hour)) AS high\n"
                f"FROM gpu_demand_hourly AS d\nWHERE {HOURS}\nHAVING count() > 0",
                width=9,
            )
        )
        .with_panel(
            number(
                "Requests without a figure",
                "Requests whose tokens, model or hardware is unknown: they are in no GPU-second here.",
                "SELECT sum(d.requests_unpriced) AS unpriced, sum(d.requests) AS `of requests`\n"
                f"FROM gpu_demand_hourly AS d\nWHERE {HOURS}",
                width=6,
            )
        )
        .with_panel(
            series(
                "GPUs kept busy, hour by hour",
                "GPU-seconds of the hour over 3,600: the number of reference GPUs busy on average, from low to high.",
                f"SELECT hour AS time, {BUSY}\nFROM gpu_demand_hourly AS d\nWHERE {HOURS}\nGROUP BY time\nORDER BY time",
                between=("low", "high"),
                width=24,
            )
        )
        .with_panel(
            series(
                "Held, busy and idle",
                "GPUs that `fanlight scrape` sees: held, and of these busy by what they say themselves. Demand above"
                " is of reference GPUs, this is of the GPUs as they are. Filters: hardware, region, workload.",
                "SELECT hour AS time, sum(s.allocated_gpu_seconds) / 3600 AS held,"
                " sum(s.busy_gpu_seconds) / 3600 AS busy, sum(s.idle_gpu_seconds) / 3600 AS idle\n"
                f"FROM gpu_supply_hourly AS s\nWHERE {SUPPLY}\nGROUP BY time\nORDER BY time",
            )
        )
        .with_panel(
            series(
                "What engines worked on",
                "Tokens per second of the engines that are scraped, by their own counters.",
                "SELECT $__timeInterval(ends_at) AS time, sum(w.uncached_tokens) / $__interval_s AS `input, not cached`,"
                " sum(w.output_tokens) / $__interval_s AS output\n"
                f"FROM engine_windows AS w\nWHERE $__timeFilter(ends_at) AND {is_any_of('model', 'model')}"
                f" AND {is_any_of('region', 'region')}\nGROUP BY time\nORDER BY time",
            )
        )
        .with_panel(_over_time("By model", "model", "model"))
        .with_panel(_over_time("By hardware", "hardware", "the hardware that serves the model"))
        .with_panel(_over_time("By region", "region", "the region that the calls were made from"))
        .with_panel(_over_time("By workload", "workload", "workload"))
        .with_panel(
            rows(
                "Models",
                "Demand of each model on its hardware, with bounds and method. `unknown` has no rate card: see"
                " `fanlight rates add-model`.",
                f"SELECT model, hardware, sum(d.requests) AS requests, {SECONDS}, gpu_method AS method,"
                " sum(d.requests_unpriced) AS unpriced\n"
                f"FROM gpu_demand_hourly AS d\nWHERE {HOURS}\n"
                "GROUP BY model, hardware, gpu_method\nORDER BY high DESC, requests DESC\nLIMIT 200",
            )
        )
        .with_panel(
            rows(
                "Users",
                "The users with the most GPU-seconds on the days chosen (UTC), with bounds and method, and the"
                " share of one reference GPU that each keeps busy.",
                f"SELECT user_id AS user, sum(d.actions) AS actions, sum(d.requests) AS requests, {SECONDS},"
                " sum(d.gpu_seconds) / (86400 * (dateDiff('day', toDate($__fromTime), toDate($__toTime)) + 1))"
                " AS `share of a GPU`, arrayStringConcat(arraySort(groupUniqArray(gpu_method)), ', ') AS method,"
                " sum(d.requests_unpriced) AS unpriced\n"
                f"FROM gpu_demand_by_user_daily AS d\nWHERE $__dateFilter(day) AND {IS_USER}\n"
                "GROUP BY user_id\nORDER BY high DESC, user_id\nLIMIT 100",
                units={"share of a GPU": "percentunit"},
            )
        )
    )
