"""What is true of the spans that scale_spans.py makes, counted from their numbers, beside what views say."""

from dataclasses import dataclass

from scale_spans import per_action, per_span

from fanlight_schema.store import Store


@dataclass(frozen=True, slots=True)
class Claim:
    """Two statements that must give the same rows."""

    name: str
    truth: str
    view: str


def claims(actions: int) -> list[Claim]:
    spans = per_span(actions)
    counted = (
        "SELECT any(action) AS name, any(user) AS asker, any(action_ns) AS ns,"
        " countIf(role = 'call') AS calls,"
        " sumIf(requests, role = 'call') AS sent, sumIf(input_tokens, role = 'call') AS tokens"
        f" FROM ({spans}) GROUP BY a"
    )
    return [
        Claim(
            "actions and spans",
            f"SELECT count(), sum(size) FROM ({per_action(actions)})",
            "SELECT count(), sum(spans) FROM actions",
        ),
        Claim(
            "fan-out by action",
            "SELECT name, count(), sum(calls), sum(sent), quantileExactWeighted(0.5)(sent, 1),"
            f" quantileExactWeighted(0.99)(sent, 1), max(sent) FROM ({counted})"
            " GROUP BY name ORDER BY name",
            "SELECT action_name, actions, calls, requests, fanout_p50, fanout_p99, fanout_max"
            " FROM fanout_by_action ORDER BY action_name",
        ),
        Claim(
            "fan-out by hour",
            "SELECT toStartOfHour(fromUnixTimestamp64Nano(ns, 'UTC')) AS hour, count(), sum(sent)"
            f" FROM ({counted}) GROUP BY hour ORDER BY hour",
            "SELECT hour, sum(actions), sum(requests) FROM fanout_hourly GROUP BY hour ORDER BY hour",
        ),
        Claim(
            "demand by user",
            f"SELECT asker, sum(calls), sum(sent), sum(tokens) FROM ({counted}) WHERE calls > 0"
            " GROUP BY asker ORDER BY asker",
            "SELECT user_id, calls, requests, input_tokens FROM gpu_demand_by_user ORDER BY user_id",
        ),
        Claim(
            "demand by hour, model and region",
            "SELECT toStartOfHour(fromUnixTimestamp64Nano(start_ns, 'UTC')) AS hour, model, region, count(),"
            f" sum(requests), sum(input_tokens) FROM ({spans}) WHERE role = 'call'"
            " GROUP BY hour, model, region ORDER BY hour, model, region",
            "SELECT hour, model, region, sum(calls), sum(requests), sum(input_tokens) FROM gpu_demand_hourly"
            " GROUP BY hour, model, region ORDER BY hour, model, region",
        ),
        Claim(
            "calls",
            f"SELECT sum(calls), sum(sent), sum(tokens) FROM ({counted})",
            "SELECT count(), sum(requests), sum(input_tokens) FROM model_calls",
        ),
    ]


def check(store: Store, actions: int) -> None:
    """Ends the program if a view counts anything else than what is true."""
    for claim in claims(actions):
        expected, found = store.query(claim.truth).rows, store.query(claim.view).rows
        if expected != found:
            pairs = zip(expected, found, strict=False)
            first = next((pair for pair in pairs if pair[0] != pair[1]), None)
            raise SystemExit(
                f"{claim.name}: {len(expected)} rows are true, {len(found)} found, first difference {first}"
            )
        print(f"  {claim.name}: {len(found):,} rows are true", flush=True)
