"""Reads the series that an OpenTelemetry Collector's prometheus receiver has written to ClickHouse.

Where a Collector scrapes engines and GPUs already, nobody need ask them twice: its clickhouse exporter writes
each scrape to otel_metrics_gauge, otel_metrics_sum and otel_metrics_histogram, and a target is known there as
host:port (`service.instance.id`). The same metrics.csv says what they mean.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import groupby
from typing import Final
from urllib.parse import urlsplit

from prometheus_client.samples import Sample

from fanlight_schema.store import Store

from .config import ScrapeConfig
from .loop import Batch, Windows
from .readings import of_samples
from .samples import Place, Reading

TABLES: Final = ("otel_metrics_gauge", "otel_metrics_sum", "otel_metrics_histogram")
FIRST_LOOK: Final = timedelta(hours=1)  # how far back a target is read that has no sample yet
SETTLES: Final = timedelta(seconds=15)  # a Collector writes the points of one scrape within its batch's time
STALE_AFTER: Final = timedelta(minutes=5)  # as Prometheus has it
_POINTS: Final = """
SELECT at, name, labels, value FROM
(
    SELECT TimeUnix AS at, MetricName AS name, Attributes AS labels, Value AS value,
        Flags AS flags, ResourceAttributes AS resource
    FROM otel_metrics_gauge
    UNION ALL
    SELECT TimeUnix, MetricName, Attributes, Value, Flags, ResourceAttributes
    FROM otel_metrics_sum
    UNION ALL
    SELECT TimeUnix, concat(MetricName, '_sum'), Attributes, Sum, Flags, ResourceAttributes
    FROM otel_metrics_histogram
)
WHERE resource['service.instance.id'] = {instance:String}
    AND at > {after:DateTime64(9)} AND at <= {until:DateTime64(9)} AND bitAnd(flags, 1) = 0
ORDER BY at
"""  # flag 1: no recorded value, which is how the receiver says that a series has ended
_LAST: Final = """
SELECT max(at) FROM
(
    SELECT max(scraped_at) AS at FROM engine_samples WHERE target = {target:String}
    UNION ALL
    SELECT max(scraped_at) FROM gpu_samples WHERE target = {target:String}
)
"""


class NoTables(RuntimeError):
    """The store holds no series of a Collector; the text says what to do."""


@dataclass
class TableReader:
    """Rounds over all targets, with every scrape that the Collector has written since the one before."""

    config: ScrapeConfig
    store: Store
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)
    _windows: Windows = field(init=False)

    def __post_init__(self) -> None:
        there = {name for (name,) in self.store.query("SHOW TABLES LIKE 'otel_metrics_%'").rows}
        if missing := [name for name in TABLES if name not in there]:
            raise NoTables(
                f"{self.store.database} has no {', '.join(missing)}: a Collector with a metrics pipeline to"
                " this database makes them (clickhouse exporter, create_schema: true)"
            )
        self._windows = Windows(self.config.every_s)

    def round(self) -> Batch:
        """All scrapes since the last one that the store has samples of."""
        batch = Batch()
        until = self.now() - SETTLES
        for place in self.config.targets:
            if place.target not in self._windows.last and (before := self._last(place)):
                self._windows.last[place.target] = before  # what is new goes on from what the store has
            after = self._windows.last.get(place.target, until - FIRST_LOOK)
            told = False
            for at, reading in self._scrapes(place, after, until):
                told = True
                window_s = self._windows.of(place.target, at) if reading.status == "ok" else 0.0
                batch.add(place, reading, at, window_s)
            if not told and until - after > STALE_AFTER:
                instance = instance_of(place)
                batch.add(
                    place,
                    Reading(
                        "unreachable", f"the Collector's tables hold nothing newer of the instance {instance}"
                    ),
                    until,
                    0.0,
                )
        return batch

    def _last(self, place: Place) -> datetime | None:
        """When the store's newest sample of a target was taken."""
        at: datetime = self.store.query(_LAST, {"target": place.target}).rows[0][0]
        return at if at.timestamp() > 0 else None

    def _scrapes(self, place: Place, after: datetime, until: datetime) -> Iterator[tuple[datetime, Reading]]:
        asked = {"instance": instance_of(place), "after": _text(after), "until": _text(until)}
        points = self.store.query(_POINTS, asked).rows
        for at, group in groupby(points, key=lambda point: point[0]):
            yield at, of_samples([_sample(name, labels, value) for _, name, labels, value in group])


def instance_of(place: Place) -> str:
    """What the prometheus receiver calls a target: host:port, its scheme's port where the URL has none."""
    url = urlsplit(place.target)
    return f"{url.hostname}:{url.port or {'https': 443}.get(url.scheme, 80)}"


def _sample(name: str, labels: Mapping[str, str], value: float) -> Sample:
    return Sample(name, dict(labels), value)


def _text(at: datetime) -> str:
    return at.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")
