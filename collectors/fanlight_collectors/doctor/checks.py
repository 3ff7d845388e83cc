"""Questions to a store's public views, and what each answer means."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from fanlight_collectors.doctor.findings import Finding, Level

Row: TypeAlias = Mapping[str, object]
Rows: TypeAlias = Sequence[Row]
Ask: TypeAlias = Callable[[str], Rows]  # rows of one SELECT
NAMED: Final = 3  # of models, attributes, services in one line

# What each reason of ingest_rejects means, and what to do. Reasons of what was repaired are no loss.
REJECTS: Final[Mapping[str, str]] = {
    "bad_trace_id": "the sender makes ids that are none; see the service that is named",
    "bad_span_id": "the sender makes ids that are none; see the service that is named",
    "bad_time": "set that host's clock (its spans start more than 8 years ago, or a day ahead)",
    "bad_number": "token counts that are none (NaN, negative, text) are unknown; see the service named",
    "too_large": "send smaller requests: OTEL_BSP_MAX_EXPORT_BATCH_SIZE=256",
    "late": "spans older than is kept: before importing, fanlight schema apply --keep spans=400d",
    "late_action": "new spans of actions that are partly dropped already; keep more days of spans",
    "raw_not_kept": "they are in the figures, their rows in otel_traces are dropped: that is its --keep",
}


class Check(Protocol):
    """One question and its answer."""

    def __call__(self, ask: Ask) -> Iterator[Finding]: ...


@dataclass(frozen=True, slots=True)
class Amount:
    """A check of one number: nothing to tell where it is 0. `text` and `fix` may name columns of the row."""

    sql: str
    wrong: bool
    text: str
    fix: str

    def __call__(self, ask: Ask) -> Iterator[Finding]:
        row = ask(self.sql)[0]
        if number(row["n"]):
            shown = {name: _shown(value) for name, value in row.items()}
            yield Finding(
                "wrong" if self.wrong else "watch", self.text.format(**shown), self.fix.format(**shown)
            )


def findings(ask: Ask, days: int) -> Iterator[Finding]:
    """Everything that the views tell of the last `days`; one `fine` where nothing is to be told."""
    recent = f"started_at > now() - INTERVAL {days} DAY"
    found = [one for check in CHECKS for one in check(lambda sql: ask(sql.replace("RECENT", recent)))]
    yield from found or [Finding("fine", "spans arrive, are understood, counted and priced")]


def received(ask: Ask) -> Iterator[Finding]:
    """Whether anything came at all, and lately."""
    row = ask(
        "SELECT count() AS actions, max(last_end_at) < now() - INTERVAL 1 HOUR AS silent,"
        " toString(max(last_end_at)) AS last FROM actions"
    )[0]
    if not number(row["actions"]):
        spans = number(ask("SELECT count() AS n FROM otel_traces")[0]["n"])
        yield (
            _nothing_counted(spans)
            if spans
            else Finding(
                "wrong",
                "no span has arrived",
                "trace a program: fanlight run -- python my_agent.py, or any other tracer",
            )
        )
    elif number(row["silent"]):
        yield Finding("watch", f"nothing has ended since {row['last']} UTC", "is the traced program running?")


def _nothing_counted(spans: int) -> Finding:
    return Finding(
        "wrong",
        f"{spans:,} spans are in otel_traces and no action is counted",
        "were they there before fanlight: fanlight schema apply --backfill, with the --store given here; "
        "else they are no steps or calls",
    )


def rejects(ask: Ask) -> Iterator[Finding]:
    """What came in and was not taken as it came."""
    for row in ask("SELECT reason, count, example FROM rejects_by_reason ORDER BY count DESC"):
        reason = str(row["reason"])
        level: Level = "watch" if reason == "raw_not_kept" else "wrong"
        what = f"{number(row['count']):,} spans or bodies: {reason} ({row['example']})"
        yield Finding(level, what, REJECTS.get(reason, "see SELECT * FROM ingest_rejects for the sender"))


def unknown_attributes(ask: Ask) -> Iterator[Finding]:
    """Names that a tracer uses and fanlight does not understand."""
    rows = ask("SELECT attribute, scope, spans FROM unknown_attributes ORDER BY spans DESC, attribute")
    if rows:
        names = _some([f"{row['attribute']} ({row['scope']})" for row in rows])
        yield Finding(
            "watch",
            f"attributes of model calls that are not understood: {names}",
            "SELECT * FROM unknown_attributes; one that holds tokens or a model should be known",
        )


def unpriced(ask: Ask) -> Iterator[Finding]:
    """Requests without GPU-seconds, and why."""
    rows = ask(
        "SELECT model, sum(requests_unpriced) AS n, countIf(hardware IS NOT NULL) > 0 AS placed"
        " FROM model_calls"
        " WHERE requests_unpriced > 0 AND RECENT GROUP BY model ORDER BY n DESC, model"
    )
    for placed, why, fix in (
        (
            0,
            "no rate card for the model where it runs",
            "fanlight rates show ends with what to do for one; where it runs is the table placements",
        ),
        (
            1,
            "their tokens are not known",
            "take fanlight's own tracer, or have the tracer report usage of streams",
        ),
    ):
        models = [row for row in rows if number(row["placed"]) == placed]
        if models:
            requests = sum(number(row["n"]) for row in models)
            names = _some([str(row["model"]) or "a model without a name" for row in models])
            yield Finding("watch", f"{requests:,} requests have no GPU-seconds, {why}: {names}", fix)


CHECKS: Final[tuple[Check, ...]] = (
    received,
    Amount(
        "SELECT count() > 20000 AS n, count() AS traces FROM"  # above that it is more than a moment
        " (SELECT 1 FROM touched GROUP BY trace_id, mark HAVING sum(sign) > 0)",
        True,
        "{traces} traces wait to be counted: the figures are behind",
        "look for an exception: SELECT view, exception FROM system.view_refreshes; else it needs more CPU",
    ),
    Amount(
        "SELECT uniqExact(action_id) AS n FROM"
        " (SELECT action_id, build FROM shape_marks GROUP BY action_id, build HAVING sum(sign) > 0)"
        " WHERE build < toUnixTimestamp64Micro(now64(6) - INTERVAL 10 MINUTE)",
        False,
        "{n} actions have waited more than 10 minutes for their shapes: cascade_shapes lacks them",
        "only a running fanlight up computes shapes: let one run on this store, or wait where one does",
    ),
    rejects,
    Amount(
        "SELECT sum(dropped_spans) AS n, countIf(dropped_spans > 0) AS actions FROM actions WHERE RECENT",
        True,
        "{n} spans of {actions} actions were lost by the process that made them",
        "the collector was away, or slower than the program: see FANLIGHT_QUEUE_LIMIT_BYTES and its log",
    ),
    Amount(
        "SELECT round(sum(requests) - sum(requests * coalesce(requests_observed_share, 0))) AS n,"
        " round(100 * n / sum(requests)) AS percent FROM actions WHERE RECENT",
        False,
        "{percent} % of the requests are assumed, one a call: retries of those are not seen",
        "trace these programs with fanlight itself: fanlight run -- CMD, or fanlight.instrument()",
    ),
    Amount(
        "SELECT countIf(users > 1) AS n FROM actions WHERE RECENT",
        True,
        "{n} actions name more than one user; the earliest has all of it",
        "begin an action for each user: SELECT action_id, action_name FROM actions WHERE users > 1",
    ),
    Amount(
        "SELECT countIf(last_end_at > now() + INTERVAL 5 MINUTE) AS n FROM actions WHERE RECENT",
        True,
        "{n} actions end in the future: a host's clock is ahead of the store's",
        "synchronise the hosts' clocks (NTP)",
    ),
    Amount(
        "SELECT countIf(skewed_spans > 0) AS n FROM actions WHERE RECENT",
        False,
        "the clocks of hosts differ in {n} actions: order in time is not to be trusted there, durations are",
        "synchronise the hosts' clocks (NTP)",
    ),
    Amount(
        "SELECT countIf(NOT has_root) AS n, round(100 * n / count()) AS percent FROM actions WHERE RECENT",
        False,
        "{n} actions ({percent} %) lack their root span",
        "they still run, or something samples upstream: spans must arrive unsampled (no tail_sampling,"
        " no probabilistic_sampler before the store)",
    ),
    Amount(
        "SELECT countIf(calls_without_usage > 0) AS n FROM actions WHERE RECENT",
        False,
        "{n} actions have calls whose tokens nobody reported",
        "for OpenAI-like streams ask for usage, or take fanlight's own tracer, which counts what it sees",
    ),
    Amount(
        "SELECT countIf(status != 'ok') AS n, count() AS targets,"
        " arrayStringConcat(groupUniqArrayIf(3)(target || ': ' || detail, status != 'ok'), '; ') AS which"
        " FROM (SELECT target, argMax(status, scraped_at) AS status, argMax(detail, scraped_at) AS detail"
        " FROM engine_samples WHERE scraped_at > now() - INTERVAL 1 DAY GROUP BY target)",
        False,
        "{n} of {targets} engines that are scraped give no figures: {which}",
        "see that the address is that of its /metrics, and the status of its samples in engine_samples",
    ),
    unpriced,
    unknown_attributes,
)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _shown(value: object) -> str:
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)


def number(value: object) -> int:
    """A count of a row; JSON has large ones as text, and NULL for what is not known."""
    return int(float(value)) if isinstance(value, int | float | str) and value != "" else 0
