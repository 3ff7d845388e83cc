"""The statements behind `fanlight stats`: on public views only, and each fit to be run on its own."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from fanlight_schema.gpu.catalogue import REFERENCE_GPU

Dimension: TypeAlias = Literal["action", "user", "model", "agent", "hour", "region"]

PER_ACTION = {  # dimensions of a whole action: name of the column, expression over `actions`
    "action": ("action_name", "a.action_name"),
    "user": ("user_id", "a.user_id"),
    "hour": ("hour", "toStartOfHour(a.started_at)"),
}
PER_CALL = {  # dimensions of a single call, over `model_calls`
    "model": ("model", "c.model"),
    "agent": ("agent_name", "c.agent_name"),
    "region": ("region", "c.region"),
}
WEAKEST_FIRST = "['price_implied', 'modelled', 'calibrated', 'measured']"
CACHE_UNKNOWN = "+cache_unknown"
STARTED_AT = {"a": "a.started_at", "c": "c.action_started_at"}


@dataclass(frozen=True, slots=True)
class Scope:
    """Which actions count: of one origin and workload (None: all), begun at most since_s ago (None: ever)."""

    since_s: int | None = None
    origin: str | None = "user"
    workload: str | None = "serving"
    session_prefix: str | None = None

    def where(self, alias: str) -> str:
        tests = [f"{alias}.origin = '{self.origin}'"] if self.origin else []
        tests += [f"{alias}.workload = '{self.workload}'"] if self.workload else []
        tests += [f"{STARTED_AT[alias]} >= now() - INTERVAL {self.since_s} SECOND"] if self.since_s else []
        tests += [f"startsWith({alias}.session_id, '{self.session_prefix}')"] if self.session_prefix else []
        return f"WHERE {' AND '.join(tests)}\n" if tests else ""


@dataclass(frozen=True, slots=True)
class Unit:
    """The GPU that GPU-seconds are in, what its second is worth in those of the reference GPU, and over how
    many seconds a share of it is taken (None: not known, and then there are no shares)."""

    gpu: str = REFERENCE_GPU
    factor: float = 1.0
    window_s: float | None = None


REFERENCE = Unit()


def headline_sql(scope: Scope, unit: Unit = REFERENCE) -> str:
    """One row: the fan-out of all actions in scope."""
    window = f"    {_window(scope)} AS window_s"
    columns = f"{_fanout()},\n{_lone_calls()},\n{_gpu('a', unit)},\n{window},\n{_busy('window_s')}"
    return f"SELECT\n{columns}\nFROM actions AS a\n{scope.where('a')}".rstrip()


def _window(scope: Scope) -> str:
    if scope.since_s:
        return str(scope.since_s)
    return "(toUnixTimestamp64Nano(max(a.last_end_at)) - toUnixTimestamp64Nano(min(a.started_at))) / 1e9"


def grouped_sql(dimension: Dimension, scope: Scope, unit: Unit = REFERENCE) -> str:
    """One row for each value of the dimension."""
    if dimension in PER_ACTION:
        name, expression = PER_ACTION[dimension]
        columns, source = f"{_fanout()},\n{_gpu('a', unit)}", "actions AS a"
        where = scope.where("a")
    else:
        name, expression = PER_CALL[dimension]
        columns, source = f"{_calls()},\n{_gpu('c', unit)}", "model_calls AS c"
        where = scope.where("c")
    if unit.window_s:
        columns += f",\n{_busy(str(unit.window_s))}"
    order = name if dimension == "hour" else "requests DESC"
    head = f"SELECT\n    {expression} AS {name},\n{columns}\nFROM {source}\n"
    return f"{head}{where}GROUP BY {name}\nORDER BY {order}"


def excluded_sql(scope: Scope) -> str:
    """One row: how many actions the scope leaves out because of their origin or workload."""
    everything = Scope(scope.since_s, None, None)
    return f"SELECT count() AS actions FROM actions AS a\n{everything.where('a')}".rstrip()


def unpriced_sql(scope: Scope) -> str:
    """Models with requests that are in no GPU-second figure, most first, and whether they have rates."""
    return (
        "SELECT c.model AS model, sum(c.requests_unpriced) AS requests,\n"
        "    max(c.hardware IS NOT NULL) AS has_rates\n"
        f"FROM model_calls AS c\n{scope.where('c')}"
        "GROUP BY model HAVING requests > 0 ORDER BY requests DESC, model"
    )


def _fanout() -> str:
    percentiles = ",\n".join(
        f"    quantileExactWeighted({p})(a.requests, 1) AS fanout_p{round(p * 100)}" for p in (0.5, 0.9, 0.99)
    )
    return (
        "    count() AS actions,\n"
        "    sum(a.model_calls) AS calls,\n"
        "    sum(a.requests) AS requests,\n"
        "    requests / actions AS fanout_mean,\n"
        f"{percentiles},\n"
        "    max(a.requests) AS fanout_max,\n"
        "    if(max(a.requests_observed_share) > 0, requests / calls, NULL) AS amplification"
    )


def _calls() -> str:
    return (
        "    uniqExact(c.action_id) AS actions,\n"
        "    count() AS calls,\n"
        "    sum(c.requests) AS requests,\n"
        "    sum(c.input_tokens) AS input_tokens,\n"
        "    sum(c.cached_tokens) AS cached_tokens,\n"
        "    sum(c.output_tokens) AS output_tokens,\n"
        "    countIf(c.usage_source = 'estimated') AS calls_estimated"
    )


def _lone_calls() -> str:
    """Actions that are one call and its tries, inside nothing that a tracer saw."""
    return (
        "    countIf(a.action_source = 'inferred' AND a.model_calls = 1\n"
        "        AND a.spans - a.duplicate_spans = if(a.requests > 1, 1 + a.requests, 1)) AS lone_calls"
    )


def factor_sql(gpu: str) -> str:
    """The name and factor of the GPUs whose name holds this text, upper or lower case."""
    quoted = gpu.replace("\\", "\\\\").replace("'", "\\'")
    return (
        "SELECT h.hardware AS hardware, h.reference_factor AS reference_factor FROM gpu_hardware AS h\n"
        f"WHERE positionCaseInsensitiveUTF8(h.hardware, '{quoted}') > 0\n"
        "ORDER BY h.hardware"
    )


def _busy(window: str) -> str:
    """The share of one GPU that is kept busy over the window."""
    return ",\n".join(
        f"    gpu_seconds{bound} / nullIf({window}, 0) AS reference_gpus{bound}"
        for bound in ("", "_low", "_high")
    )


def _gpu(alias: str, unit: Unit) -> str:
    """GPU-seconds: NULL, not the 0 of refused requests, where no request that did work is priced."""
    method = f"splitByChar('+', {alias}.gpu_method)[1]"
    unpriced = f"sum({alias}.requests_unpriced) > 0 AND sum({alias}.gpu_seconds_high) = 0"
    worth = "" if unit.factor == 1 else f" / {unit.factor!r}"
    sums = "".join(
        f"    if({unpriced}, NULL, sum({alias}.{name}){worth}) AS {name},\n"
        for name in ("gpu_seconds", "gpu_seconds_low", "gpu_seconds_high")
    )
    return (
        f"{sums}"
        "    if(isNull(gpu_seconds), 'unknown', concat(\n"
        f"        argMinIf({method}, indexOf({WEAKEST_FIRST}, {method}),\n"
        f"            {alias}.gpu_seconds IS NOT NULL),\n"
        f"        if(max(endsWith({alias}.gpu_method, '{CACHE_UNKNOWN}')), '{CACHE_UNKNOWN}', '')\n"
        "    )) AS gpu_method,\n"
        f"    sum({alias}.requests_unpriced) AS requests_unpriced"
    )
