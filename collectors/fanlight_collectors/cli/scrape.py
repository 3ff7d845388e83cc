"""`fanlight scrape`: what engines and GPUs say of themselves, as samples in the store."""

import signal
import sys
import threading
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Annotated

import httpx
import typer

from fanlight_collectors.cli.errors import CommandError, unusable
from fanlight_collectors.cli.target import UP_SCHEMES, StoreOption, check_permission, find_target
from fanlight_collectors.cli.through_up import open_up
from fanlight_collectors.scrape import config, loop, sinks, tables
from fanlight_schema.store import StoreError, open_store

TIMEOUT_S = 5.0


def scrape(
    urls: Annotated[
        list[str] | None,
        typer.Argument(metavar="[URL]...", help="Metrics endpoints: http://vllm:8000/metrics ..."),
    ] = None,
    config_file: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="TOML: endpoints with model, GPUs, region, workload."),
    ] = None,
    every: Annotated[
        float, typer.Option(metavar="SECONDS", help="Time between two samples; FILE has its own, every_s.")
    ] = 5.0,
    once: Annotated[bool, typer.Option("--once", help="Take one sample of each, and end.")] = False,
    store: StoreOption = None,
) -> None:
    """Keep what engines and GPUs say of themselves.

    Reads Prometheus endpoints of vLLM, SGLang, TGI, llama.cpp, TensorRT-LLM (also in Triton), Ray Serve and
    NVIDIA's DCGM exporter, and with `nvml = true` in FILE the GPUs of this machine. Samples are in the tables
    engine_samples and gpu_samples; what they say is in the views engine_windows and gpu_supply_hourly.

    Examples:
      fanlight scrape http://vllm:8000/metrics http://dcgm:9400/metrics
      fanlight scrape --config scrape.toml --store clickhouse://w:pw@host/otel
    """
    wanted = _configuration(urls or [], config_file, every)
    with ExitStack() as opened:
        scraper, write = _parts(wanted, find_target(store, for_writing=True), opened)
        if once:
            batch = scraper.round()
            write(batch)
            _tell(batch)
            sys.stdout.write(f"{len(batch.engines)} samples of engines, {len(batch.gpus)} of GPUs\n")
            if batch.failures:
                raise CommandError(f"{len(batch.failures)} of {len(wanted.targets)} targets gave no figures")
            return
        _until_stopped(scraper, write)


def _configuration(urls: list[str], file: Path | None, every_s: float) -> config.ScrapeConfig:
    if bool(urls) == (file is not None):
        raise unusable("name the endpoints, or a file of them with --config")
    try:
        return config.from_file(file) if file is not None else config.from_urls(urls, every_s)
    except config.ScrapeConfigError as error:
        raise unusable(str(error)) from error


def _parts(wanted: config.ScrapeConfig, target: str, opened: ExitStack) -> tuple[loop.Rounds, sinks.Sink]:
    """Who asks, and where samples go."""
    if target.startswith(UP_SCHEMES):
        if wanted.from_tables:
            raise unusable(f"from_tables reads tables of a ClickHouse server; {target} is an up")
        with closing(open_up(target)) as up:
            return _scraper(wanted, opened), sinks.into_up(target, up.token)
    check_permission(target)
    try:
        store = open_store(target, create=False)
        opened.callback(store.close)
        rounds = tables.TableReader(wanted, store) if wanted.from_tables else _scraper(wanted, opened)
    except (StoreError, tables.NoTables) as error:
        raise unusable(str(error)) from error
    return rounds, sinks.into_store(store)


def _scraper(wanted: config.ScrapeConfig, opened: ExitStack) -> loop.Scraper:
    return loop.Scraper(wanted, opened.enter_context(httpx.Client(timeout=TIMEOUT_S, trust_env=False)))


def _until_stopped(scraper: loop.Rounds, write: sinks.Sink) -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    told: set[str] = set()

    def keep(batch: loop.Batch) -> None:
        # A failure is told once, and again when it has changed.
        for line in sorted(set(batch.failures) - told):
            sys.stderr.write(f"fanlight scrape: {line}\n")
        told.clear()
        told.update(batch.failures)
        try:
            write(batch)
        except (StoreError, sinks.NotTaken, httpx.HTTPError) as error:
            sys.stderr.write(f"fanlight scrape: samples of this round are lost: {error}\n")

    targets = len(scraper.config.targets)
    sys.stderr.write(f"fanlight scrape: {targets} targets every {scraper.config.every_s:g} s\n")
    loop.run(scraper, keep, stop)


def _tell(batch: loop.Batch) -> None:
    for line in batch.failures:
        sys.stderr.write(f"fanlight scrape: {line}\n")
