"""What every public view must say of rows of otel_traces: whole rows, from reference_counts' walks.

    expected = reference_views.views(rows, prices)      # view -> rows, each a dict of all its columns

Work comes from gpu.features (which test_cascade_work compares with the SQL, request by request) and
coefficients from the store's own gpu_rates; that both are put together rightly is what is compared.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass
from typing import Any

import reference_counts
from fanlight_schema.gpu.features import Request, Work, WorkRange, work_range
from reference_counts import Call, Node, Row

HOUR_NS = 3_600 * 10**9
FEATURES = "nucoak"
NOTHING = WorkRange(Work(), Work(), Work())
View = list[dict[str, Any]]


@dataclass(frozen=True)
class Prices:
    """Rows of gpu_rates by model and host; NULL for what is not priced."""

    rates: dict[tuple[str, str], dict[str, Any]]

    def of(self, model: str, host: str, work: WorkRange | None) -> tuple[float | None, ...]:
        """Value, low and high in seconds of the reference GPU."""
        if work is None:
            return None, None, None
        if work.value.n + work.high.n == 0:
            return 0.0, 0.0, 0.0
        rate = self.rates.get((model, host))
        if rate is None:
            return None, None, None
        parts = (("", work.value), ("_low", work.low), ("_high", work.high))
        return tuple(
            rate["reference_factor"]
            * sum(each * x for each, x in zip(rate[f"rates{bound}"], astuple(part), strict=True))
            for bound, part in parts
        )

    def method(self, model: str, host: str, work: WorkRange) -> tuple[int, str]:
        if work.value.n + work.high.n == 0:
            return 0, "measured"
        rate = self.rates[model, host]
        return rate["gpu_method_rank"], rate["gpu_method"]


@dataclass
class Entry:
    """Demand of an action in one hour, of one model at one host."""

    hour: int
    model: str
    provider: str
    host: str
    region: str
    calls: int = 0
    requests: int = 0
    observed: int = 0
    errors: int = 0
    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    without_usage: int = 0
    cache_unknown: int = 0
    unmeasured: int = 0
    work: WorkRange | None = None


def views(rows: Iterable[Row], prices: Prices) -> dict[str, View]:
    """Every public view, in any order of its rows."""
    told = [_Action(action_id, members) for action_id, members in reference_counts.actions(rows).items()]
    return {
        "actions": [action.row(prices) for action in told],
        "model_calls": [row for action in told for row in action.call_rows(prices)],
        "fanout_by_action": _fanout(told, action_name=lambda action: action.said["action_name"]),
        "fanout_by_action_daily": _fanout(
            told,
            day=lambda action: action.started // (24 * HOUR_NS),
            action_name=lambda action: action.said["action_name"],
        ),
        "fanout_by_user": _fanout(told, user_id=lambda action: action.said["user_id"]),
        "fanout_hourly": _fanout(told, hour=lambda action: action.started // HOUR_NS * 3_600),
        "gpu_demand_by_user": _demand_by(told, prices, {"user_id": lambda a: a.said["user_id"]}),
        "gpu_demand_by_action": _demand_by(told, prices, {name: _said(name) for name in OF_ACTION}),
        "gpu_demand_by_model": _by_model(told, prices),
        "gpu_demand_by_user_daily": _by_user_and_day(told, prices),
        "gpu_demand_hourly": _hourly(told, prices),
    }


class _Action:
    def __init__(self, action_id: str, members: list[Node]) -> None:
        self.id = action_id
        self.members = members
        self.calls = sorted(
            reference_counts.calls(members), key=lambda c: (c.start, c.shown.row["TraceId"], c.span_id)
        )
        self.root, self.has_root = reference_counts.root_of(members)
        self.started = self.root.start if self.has_root else min(node.start for node in members)
        self.said = {
            "action_name": reference_counts.name_of(members),
            "origin": reference_counts.first_said(members, "fanlight.action.origin") or "user",
            "workload": reference_counts.first_said(members, "fanlight.workload") or "serving",
            "action_source": reference_counts.first_said(members, "fanlight.action.source") or "inferred",
            "user_id": reference_counts.first_said(members, "user.id"),
            "session_id": reference_counts.first_said(members, "session.id"),
        }
        self.demand = _demand(self.calls)

    def row(self, prices: Prices) -> dict[str, Any]:
        root, members = self.root, self.members
        ends = max(node.end for node in members)
        ended = self.has_root and root.end > root.start
        requests = sum(entry.requests for entry in self.demand)
        observed = sum(entry.observed for entry in self.demand)
        duration = root.end - root.start if ended else ends - min(node.start for node in members)
        return self.said | {
            "action_id": self.id,
            "parent_action_id": reference_counts.first_said(members, "fanlight.action.parent_id"),
            "service": root.row["ServiceName"],
            "environment": _environment(root.row["ResourceAttributes"]),
            "started_at": self.started,
            "duration_s": duration / 1e9,
            "last_end_at": ends,
            "open": not (ended or (self.has_root and root.died)),
            "has_root": self.has_root,
            "model_calls": len(self.calls),
            "requests": requests,
            "requests_observed_share": observed / requests if requests else None,
            "tool_calls": sum(node.role == "tool" for node in members),
            "agent_steps": sum(node.role == "agent" for node in members),
            "depth": max(reference_counts.steps(node) for node in members),
            "errors": sum(entry.errors for entry in self.demand),
            "step_errors": sum(_failed(node) for node in members if node.role in ("agent", "tool")),
            "input_tokens": _known(entry.input_tokens for entry in self.demand),
            "cached_tokens": _known(entry.cached_tokens for entry in self.demand),
            "output_tokens": _known(entry.output_tokens for entry in self.demand),
            "reasoning_tokens": _known(entry.reasoning_tokens for entry in self.demand),
            "calls_without_usage": sum(entry.without_usage for entry in self.demand),
            "traces": len({node.row["TraceId"] for node in members}),
            "spans": len(members),
            "orphans": sum(node.parent is None and bool(node.row["ParentSpanId"]) for node in members),
            "skewed_spans": sum(n.parent is not None and n.end < n.parent.start for n in members),
            "dropped_spans": max(int(node.attribute("fanlight.dropped_spans") or 0) for node in members),
            "users": len({user for node in members if (user := node.attribute("user.id"))}),
            "duplicate_spans": reference_counts.duplicates(members),
            "wrapper_spans": sum(node.wraps and not node.passes_on for node in members),
            "gateway_calls": sum(node.passes_on for node in members),
            **_priced(self.demand, prices),
        }

    def call_rows(self, prices: Prices) -> View:
        return [self._call_row(call, prices) for call in self.calls]

    def _call_row(self, call: Call, prices: Prices) -> dict[str, Any]:
        shown = call.shown
        host = shown.attribute("server.address")
        told = _told(call, self._earlier(call))
        work, unmeasured, unknown = _summed(told)
        value, low, high = prices.of(call.model, host, work)
        method = "unknown"
        if value is not None and work is not None:
            rank, method = prices.method(call.model, host, work)
            method += "+cache_unknown" if rank and unknown else ""
        rate = prices.rates.get((call.model, host))
        agents = (node.attribute("gen_ai.agent.name") for node in shown.above() if node.role == "agent")
        agent = "" if call.lost else next((name for name in agents if name), "")
        return self.said | {
            "action_id": self.id,
            "trace_id": shown.row["TraceId"],
            "span_id": call.span_id,
            "parent_span_id": shown.row["ParentSpanId"],
            "started_at": call.start,
            "duration_s": (call.end - call.start) / 1e9,
            "action_started_at": self.started,
            "service": shown.row["ServiceName"],
            "region": shown.row["ResourceAttributes"].get("cloud.region", ""),
            "agent_name": agent or shown.attribute("gen_ai.agent.name"),
            "hop": max(reference_counts.steps(node) for node in (shown, *call.sent)),
            "operation": shown.attribute("gen_ai.operation.name"),
            "provider": shown.attribute("gen_ai.provider.name"),
            "model": call.model,
            "request_model": shown.attribute("gen_ai.request.model"),
            "server_address": host,
            "response_id": shown.attribute("gen_ai.response.id"),
            "is_stream": _maybe(shown.attribute("gen_ai.request.stream"), lambda said: said == "true"),
            "time_to_first_chunk_s": _maybe(shown.attribute("gen_ai.response.time_to_first_chunk"), float),
            **_server_times([shown, *reversed(call.engines)]),
            "is_error": _failed(shown),
            "error_type": shown.attribute("error.type"),
            "http_status": _maybe(shown.attribute("http.response.status_code"), int),
            "requests": call.requests,
            "requests_source": "observed" if call.observed else "assumed",
            "requests_refused": sum(kind == "refused" for kind, _, _ in told),
            **{name: call.tokens(name) for name in reference_counts.TOKENS},
            "usage_source": shown.attribute("fanlight.usage.source"),
            "requests_unpriced": unmeasured + (int(work.value.n) if work and value is None else 0),
            "hardware": rate["hardware"] if rate else None,
            "gpu_seconds": value,
            "gpu_seconds_low": low,
            "gpu_seconds_high": high,
            "gpu_method": method,
            "scope": shown.row["ScopeName"],
            "dialect": "fanlight" if shown.attribute("fanlight.role") else "openinference",
        }

    def _earlier(self, call: Call) -> bool:
        return _has_earlier(self.calls, call)


SERVER_TIMES = {
    "server_queue_s": ("fanlight.server.queue", "gen_ai.latency.time_in_queue"),
    "server_prefill_s": ("fanlight.server.prefill", "gen_ai.latency.time_in_model_prefill"),
    "server_decode_s": ("fanlight.server.decode", "gen_ai.latency.time_in_model_decode"),
}


def _server_times(tellers: list[Node]) -> dict[str, float | None]:
    """The times of the first that tells any."""
    told = [{name: node.attribute(*SERVER_TIMES[name]) for name in SERVER_TIMES} for node in tellers]
    times = next((one for one in told if any(one.values())), told[0])
    return {name: _maybe(value, float) for name, value in times.items()}


def _has_earlier(calls: list[Call], call: Call) -> bool:
    """Whether a call of the same action has gone to the same model before."""
    starts = [
        (node.start, node.row["TraceId"])
        for other in calls
        if other.model == call.model
        for node in (
            [other.shown, *other.alike] if not other.lost else [min(other.sent, key=lambda n: n.start)]
        )
    ]
    return any(start < (call.start, call.shown.row["TraceId"]) for start in starts)


Told = tuple[str, int, WorkRange | None]  # outcome, hour of the request, its work if known
IDLE = ("refused", "hit")  # no engine worked: refused, or a gateway's cache answered


def _told(call: Call, earlier: bool) -> list[Told]:
    """The requests of a call. Those that no span tells of stand in the hour of the last one."""
    if call.requests == 0:
        return []
    spans = call.sent or [call.shown]
    outcomes = [_outcome(span) for span in spans]
    hours = [_hour(span.start) for span in spans]
    answered = "answered" in outcomes
    i, o = call.tokens("input_tokens"), call.tokens("output_tokens")
    if "embed" in call.shown.attribute("gen_ai.operation.name"):
        o = o or 0
    unknown = [outcome for outcome in outcomes if outcome not in IDLE]
    untold = call.requests - len(spans)
    unmeasured = bool(unknown or untold > 0) and (i is None or (answered and o is None))
    found: list[Told] = []
    limit = call.shown.attribute("gen_ai.request.max_tokens")
    for outcome, hour, span in [
        *zip(outcomes, hours, spans, strict=True),
        *[("timed_out", max(hours), None)] * max(untold, 0),
    ]:
        seen = o if outcome == "answered" else (0 if answered else o or 0)
        request = Request(
            outcome="refused" if outcome == "hit" else outcome,  # type: ignore[arg-type]
            input_tokens=i,
            output_tokens=seen,
            cached_tokens=call.tokens("cached_tokens"),
            max_tokens=int(limit) if limit else None,
            inputs=int(call.shown.attribute("fanlight.inputs") or 1),
            choices=int(call.shown.attribute("gen_ai.request.choice.count") or 1),
            prefix_seen=earlier or bool(call.shown.attribute("session.id")),
            worked_s=_worked_s(span) if span is not None else None,
        )
        known = None if unmeasured else work_range(request)
        found.append((outcome, hour, known))
    return found


def _outcome(span: Node) -> str:
    said, status = span.attribute("fanlight.request.outcome"), span.attribute("http.response.status_code")
    if span.died:
        return "timed_out"
    if span.attribute("fanlight.gateway.cache_hit"):
        return "hit"
    if said == "unknown":
        return "server_error" if int(status or 0) >= 500 else "cut"
    return "refused" if said == "refused" else "answered"


def _worked_s(span: Node) -> float | None:
    status = span.attribute("http.response.status_code")
    ends = status not in ("", "504") or (not status and span.attribute("gen_ai.request.stream") == "true")
    return (span.end - span.start) / 1e9 if ends and span.end > span.start else None


def _summed(told: list[Told]) -> tuple[WorkRange | None, int, int]:
    """Their work, None if it is not known; requests of unknown work; requests of unknown cache reads."""
    parts = [known for _, _, known in told if known is not None]
    if len(parts) < len(told):
        return None, sum(outcome not in IDLE for outcome, _, _ in told), 0
    total = WorkRange(
        sum((part.value for part in parts), Work()),
        sum((part.low for part in parts), Work()),
        sum((part.high for part in parts), Work()),
    )
    return total, 0, sum(known.cache_unknown for known in parts)


def _demand(calls: list[Call]) -> list[Entry]:
    """Entries of the last hours of calls by what is their key; those of earlier hours one a call and hour."""
    found: dict[tuple[Any, ...], Entry] = {}
    earlier: list[Entry] = []
    for call in calls:
        told = _told(call, _has_earlier(calls, call))
        unknown = call.tokens("cached_tokens") is None
        spans = call.sent or [call.shown]
        last = max(_hour(span.start) for span in spans)
        shown = call.shown
        place = (
            call.model,
            shown.attribute("gen_ai.provider.name"),
            shown.attribute("server.address"),
            shown.row["ResourceAttributes"].get("cloud.region", ""),
        )
        for hour in sorted({hour for _, hour, _ in told if hour != last}):
            entry = Entry(hour, *place)
            _add(entry, [one for one in told if one[1] == hour], call.observed, unknown)
            earlier.append(entry)
        entry = found.setdefault((last, *place), Entry(last, *place))
        _add(entry, [one for one in told if one[1] == last], call.observed, unknown)
        entry.calls += 1
        entry.errors += _failed(shown)
        entry.without_usage += call.tokens("input_tokens") is None
        for name in ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens"):
            setattr(entry, name, _known([getattr(entry, name), call.tokens(name)]))
    return [*found.values(), *earlier]


def _add(entry: Entry, told: list[Told], observed: bool, cache_unknown: bool) -> None:
    work, unmeasured, _ = _summed(told)
    entry.requests += len(told)
    entry.observed += len(told) if observed else 0
    entry.unmeasured += unmeasured
    entry.cache_unknown += sum(outcome not in IDLE for outcome, _, _ in told) if cache_unknown else 0
    if work is not None:
        before = entry.work or NOTHING
        entry.work = WorkRange(before.value + work.value, before.low + work.low, before.high + work.high)


def _priced(entries: Iterable[Entry], prices: Prices) -> dict[str, Any]:
    """The figures that views add up over entries of demand."""
    sums: list[float | None] = [None, None, None]
    weakest, unpriced, cache_unknown = (-1, "unknown"), 0, 0
    for entry in entries:
        found = prices.of(entry.model, entry.host, entry.work)
        unpriced += entry.unmeasured
        if found[0] is None or entry.work is None:
            unpriced += int(entry.work.value.n) if entry.work else 0
            continue
        sums = [(total or 0.0) + (part or 0.0) for total, part in zip(sums, found, strict=True)]
        weakest = max(weakest, prices.method(entry.model, entry.host, entry.work))
        cache_unknown += entry.cache_unknown
    return {
        "requests_unpriced": unpriced,
        "gpu_seconds": sums[0],
        "gpu_seconds_low": sums[1],
        "gpu_seconds_high": sums[2],
        "gpu_method": weakest[1] + ("+cache_unknown" if cache_unknown else ""),
    }


def _fanout(told: list[_Action], **keys: Callable[[_Action], Any]) -> View:
    groups: dict[tuple[Any, ...], list[_Action]] = defaultdict(list)
    for action in told:
        said = action.said
        own = [value(action) for value in keys.values()]
        where = (*own, said["origin"], said["workload"], said["action_source"])
        groups[where].append(action)
    return [
        dict(zip((*keys, "origin", "workload", "action_source"), values, strict=True)) | _spread(group)
        for values, group in groups.items()
    ]


def _spread(group: list[_Action]) -> dict[str, Any]:
    sizes = sorted(sum(entry.requests for entry in action.demand) for action in group)
    requests, observed = sum(sizes), sum(entry.observed for action in group for entry in action.demand)
    calls = sum(len(action.calls) for action in group)
    return {
        "actions": len(group),
        "calls": calls,
        "requests": requests,
        "fanout_mean": requests / len(group),
        **{f"fanout_p{p}": sizes[math.ceil(p / 100 * len(sizes)) - 1] for p in (50, 90, 99)},
        "fanout_max": sizes[-1],
        "call_fanout_mean": calls / len(group),
        "amplification": requests / calls if observed and calls else None,
        "requests_observed_share": observed / requests if requests else None,
    }


OF_ACTION = ("action_name", "origin", "workload", "action_source")


def _said(name: str) -> Callable[[_Action], str]:
    return lambda action: action.said[name]


def _demand_by(told: list[_Action], prices: Prices, keys: dict[str, Callable[[_Action], str]]) -> View:
    groups: dict[tuple[str, ...], list[_Action]] = defaultdict(list)
    for action in told:
        if action.demand:
            groups[tuple(key(action) for key in keys.values())].append(action)
    window_s = _window_s(told)
    return [
        dict(zip(keys, values, strict=True))
        | {"actions": len(group), "window_s": window_s}
        | _summed_up([e for a in group for e in a.demand], prices, window_s)
        for values, group in groups.items()
    ]


def _window_s(told: list[_Action]) -> int:
    hours = [entry.hour for action in told for entry in action.demand]
    return max(hours) - min(hours) + 3_600 if hours else 0


def _by_user_and_day(told: list[_Action], prices: Prices) -> View:
    groups: dict[tuple[int, str], list[tuple[str, Entry]]] = defaultdict(list)
    for action in told:
        for entry in action.demand:
            groups[entry.hour // 86_400, action.said["user_id"]].append((action.id, entry))
    return [
        {"day": day, "user_id": user, "actions": len({action_id for action_id, _ in group})}
        | _summed_up([entry for _, entry in group], prices, 86_400)
        for (day, user), group in groups.items()
    ]


def _by_model(told: list[_Action], prices: Prices) -> View:
    groups: dict[tuple[str, str], list[tuple[str, Entry]]] = defaultdict(list)
    for action in told:
        for entry in action.demand:
            groups[entry.model, _hardware(entry, prices)].append((action.id, entry))
    window_s = _window_s(told)
    return [
        {"model": model, "hardware": hardware, "actions": len({action_id for action_id, _ in group})}
        | {"window_s": window_s}
        | _summed_up([entry for _, entry in group], prices, window_s)
        | _on_hardware([entry for _, entry in group], prices)
        for (model, hardware), group in groups.items()
    ]


def _hourly(told: list[_Action], prices: Prices) -> View:
    groups: dict[tuple[Any, ...], list[Entry]] = defaultdict(list)
    for action in told:
        for entry in action.demand:
            place = (entry.model, entry.provider, _hardware(entry, prices), entry.region)
            groups[(entry.hour, *place, action.said["workload"])].append(entry)
    names = ("hour", "model", "provider", "hardware", "region", "workload")
    return [
        dict(zip(names, key, strict=True)) | _summed_up(group, prices, 3_600) | _on_hardware(group, prices)
        for key, group in groups.items()
    ]


def _hardware(entry: Entry, prices: Prices) -> str:
    rate = prices.rates.get((entry.model, entry.host))
    return rate["hardware"] if rate else "unknown"


def _summed_up(entries: list[Entry], prices: Prices, window_s: int) -> dict[str, Any]:
    priced = _priced(entries, prices)
    requests = sum(entry.requests for entry in entries)
    bounds = {bound: priced[f"gpu_seconds{bound}"] for bound in ("", "_low", "_high")}
    return {
        "calls": sum(entry.calls for entry in entries),
        "requests": requests,
        "input_tokens": _known(entry.input_tokens for entry in entries),
        "cached_tokens": _known(entry.cached_tokens for entry in entries),
        "output_tokens": _known(entry.output_tokens for entry in entries),
        "calls_without_usage": sum(entry.without_usage for entry in entries),
        "share_unpriced": priced["requests_unpriced"] / requests if requests else None,
        **priced,
        **{f"share_{method}": _share(entries, prices, method) for method in METHODS},
        **{
            f"reference_gpus{bound}": None if value is None else value / window_s
            for bound, value in bounds.items()
        },
    }


METHODS = ("measured", "calibrated", "modelled", "price_implied")


def _share(entries: list[Entry], prices: Prices, method: str) -> float | None:
    """Share of the GPU-seconds whose method this is."""
    whole = part = 0.0
    for entry in entries:
        value = prices.of(entry.model, entry.host, entry.work)[0]
        if value is not None and entry.work is not None:
            whole += value
            part += value if prices.method(entry.model, entry.host, entry.work)[1] == method else 0.0
    return part / whole if whole else None


def _on_hardware(entries: list[Entry], prices: Prices) -> dict[str, float | None]:
    """GPU-seconds of the hardware that serves the entries."""
    sums: list[float | None] = [None, None, None]
    for entry in entries:
        rate = prices.rates.get((entry.model, entry.host))
        found = prices.of(entry.model, entry.host, entry.work)
        if found[0] is not None:
            factor = rate["reference_factor"] if rate else 1.0
            sums = [(total or 0.0) + (part or 0.0) / factor for total, part in zip(sums, found, strict=True)]
    names = ("", "_low", "_high")
    return {f"hardware_gpu_seconds{name}": total for name, total in zip(names, sums, strict=True)}


def _known(values: Iterable[int | None]) -> int | None:
    found = [value for value in values if value is not None]
    return sum(found) if found else None


def _failed(node: Node) -> bool:
    return bool(node.row["StatusCode"] == "Error")


def _environment(resource: dict[str, str]) -> str:
    newer = resource.get("deployment.environment.name", "")
    return newer or resource.get("deployment.environment", "")


def _hour(ns: int) -> int:
    return ns // HOUR_NS * 3_600


def _maybe(said: str, read: Callable[[str], Any]) -> Any:
    return read(said) if said else None
