"""Asks all targets at once, every so often, and hands the samples on."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Protocol

import httpx

from . import nvml, readings
from .config import NVML, ScrapeConfig
from .rows import Row, engine_rows, gpu_rows
from .samples import Place, Reading

MOST_ANSWER_BYTES = 32 * 2**20
LONGEST_WINDOW = 2.5  # times the interval: what lies further back was not seen
AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Batch:
    """All rows of one round."""

    engines: list[Row] = field(default_factory=list)
    gpus: list[Row] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)  # one line each, for the log

    def add(self, place: Place, reading: Reading, at: datetime, window_s: float) -> None:
        """One sample of one target."""
        if reading.engines or reading.status != "ok":
            self.engines.extend(engine_rows(place, reading, at, window_s))
        self.gpus.extend(gpu_rows(place, reading, at, window_s))
        if reading.status != "ok":
            self.failures.append(f"{place.target}: {reading.status}: {reading.detail}")


class Rounds(Protocol):
    """What is asked of all targets again and again."""

    config: ScrapeConfig

    def round(self) -> Batch: ...


@dataclass
class Windows:
    """How long a sample stands for: since the one before it of the same target, where that was seen."""

    every_s: float
    last: dict[str, datetime] = field(default_factory=dict)

    def of(self, target: str, at: datetime) -> float:
        """Seconds; 0 for the first sample, and after a gap."""
        before = self.last.get(target)
        self.last[target] = at
        if before is None:
            return 0.0
        passed_s = (at - before).total_seconds()
        return passed_s if 0 < passed_s <= LONGEST_WINDOW * self.every_s else 0.0


def fetch(client: httpx.Client, place: Place) -> Reading:
    """One answer of one target; every failure is a reading that says so."""
    if place.target == NVML:
        return nvml.read()
    body = bytearray()
    try:
        with client.stream("GET", place.target, headers={"accept": "text/plain"}) as answer:
            if answer.status_code != 200:
                return Reading("unreachable", f"it answered {answer.status_code}")
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > MOST_ANSWER_BYTES:
                    return Reading("no_metrics", f"the answer is longer than {MOST_ANSWER_BYTES >> 20} MiB")
    except httpx.TimeoutException:
        return Reading("unreachable", "it did not answer in time")
    except httpx.HTTPError as error:
        return Reading("unreachable", str(error) or type(error).__name__)
    return readings.read(body.decode("utf-8", errors="replace"))


@dataclass
class Scraper:
    """Rounds over all targets."""

    config: ScrapeConfig
    client: httpx.Client
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)

    def __post_init__(self) -> None:
        self._windows = Windows(self.config.every_s)

    def round(self) -> Batch:
        """One sample of every target."""
        batch = Batch()
        with ThreadPoolExecutor(min(AT_ONCE, len(self.config.targets))) as pool:
            answers = pool.map(self._ask, self.config.targets)
            for place, (reading, at) in zip(self.config.targets, answers, strict=True):
                window_s = self._windows.of(place.target, at) if reading.status == "ok" else 0.0
                batch.add(place, reading, at, window_s)
        return batch

    def _ask(self, place: Place) -> tuple[Reading, datetime]:
        """What it says, and when it said so: a slow target shifts the time of no other."""
        return fetch(self.client, place), self.now()


def run(scraper: Rounds, write: Callable[[Batch], None], stop: threading.Event) -> None:
    """Rounds until `stop` is set, with the interval between them."""
    while True:
        write(scraper.round())
        if stop.wait(scraper.config.every_s):
            return
