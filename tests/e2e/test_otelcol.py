"""Through a real OpenTelemetry Collector the figures are exactly those of the spans, whatever dies meanwhile.

The collector is the one of deploy/otelcol, the ClickHouse a real server. `make otelcol` builds the
former where Go is present; these tests are skipped without it.
"""

import itertools
import json
import random
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Gauge,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from prometheus_client.parser import text_string_to_metric_families

import exact_figures
import helm
import metrics_server
import otelcol
import random_cascades
import small_agent
from clickhouse_server import Server, free_ports, library, running_in
from fanlight_collectors.scrape import config, tables
from fanlight_schema import migrate, refresh
from fanlight_schema.store import Store, StoreError, open_store
from hostile_delivery import as_otlp
from otelcol import Collector, running_collector
from requirements import require
from running import SUPPORT, run_program, running_server

if otelcol.program() is None:  # Go, which builds it, is optional, in CI too
    pytest.skip("the OpenTelemetry Collector is missing; `make otelcol` builds it", allow_module_level=True)

ARRIVAL_TIMEOUT_S = 120
_databases = itertools.count(1)


def fresh(server: Server) -> tuple[str, Store]:
    database = f"otelcol_{next(_databases)}"
    store = open_store(server.url(database))
    migrate.apply(store)
    return database, store


def wait_for(store: Store, distinct: int) -> None:
    """Until so many spans are there: what the collector has acknowledged waits in its queue for a while."""
    deadline = time.monotonic() + ARRIVAL_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            if store.query("SELECT uniqExact(TraceId, SpanId) FROM otel_traces").rows == [(distinct,)]:
                refresh.settle(store, timeout_s=60)
                return
        except Exception:  # noqa: BLE001 - the server is away
            pass
        time.sleep(0.2)
    pytest.fail(f"{distinct} spans were acknowledged and are not all in the store")


def test_the_configurations_of_collector_and_chart_are_valid(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    environment = {
        "CLICKHOUSE_ENDPOINT": "tcp://127.0.0.1:9000",
        "CLICKHOUSE_WRITER_PASSWORD": "x",
        "OTELCOL_TOKEN_FILE": str(tmp_path / "token"),
        "OTELCOL_QUEUE": str(tmp_path / "queue"),
    }
    for configs in ((otelcol.CONFIG,), (otelcol.CONFIG, otelcol.METRICS)):
        told = otelcol.validated(*configs, **environment)
        assert told.returncode == 0, told.stderr
    if helm.program() is not None:
        for values in sorted(helm.EXAMPLES.glob("*.yaml")):
            (config,) = [
                found["data"]["config.yaml"]
                for found in helm.resources(helm.rendered(values))
                if found["kind"] == "ConfigMap" and "config.yaml" in found["data"]
            ]
            # The volumes of the pod are folders of this test.
            for folder in ("/var/lib/otelcol/queue", "/etc/otelcol"):
                config = config.replace(folder, str(tmp_path / folder.strip("/")))
            path = tmp_path / "config.yaml"
            path.write_text(config)
            told = otelcol.validated(path, CLICKHOUSE_WRITER_PASSWORD="x")
            assert told.returncode == 0, f"{values.name}: {told.stderr}"


def test_an_app_s_requests_are_those_that_the_provider_got(clickhouse_server: Server, tmp_path: Path) -> None:
    database, store = fresh(clickhouse_server)
    with (
        running_server(SUPPORT / "tallying_provider.py") as port,
        running_collector(tmp_path, clickhouse_server.tcp_port, database) as collector,
    ):
        run_program(
            SUPPORT / "small_agent.py",
            "llama-3.1-8b-instruct",
            OPENAI_BASE_URL=f"http://127.0.0.1:{port}/v1",
            OPENAI_API_KEY="none",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_EXPORTER_OTLP_HEADERS=f"authorization=Bearer%20{otelcol.TOKEN}",
        )
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/tally") as answer:
            tally = json.load(answer)
        asked = sum(user["requests"] for user in tally.values())
        deadline = time.monotonic() + ARRIVAL_TIMEOUT_S
        told: list[tuple[str, int]] = []
        while time.monotonic() < deadline and sum(row[1] for row in told) < asked:
            told = store.query("SELECT user_id, requests FROM fanout_by_user ORDER BY user_id").rows
            time.sleep(0.2)
    assert len(told) == small_agent.USERS
    assert dict(told) == {user: counted["requests"] for user, counted in tally.items()}


def test_a_wrong_token_is_refused_and_prompts_of_other_tracers_are_masked(
    clickhouse_server: Server, tmp_path: Path
) -> None:
    database, store = fresh(clickhouse_server)
    rows = random_cascades.rows(random.Random(3), cascades=1)
    for row in rows:
        row["SpanAttributes"] |= {"gen_ai.input.messages": "secret words", "input.value": "secret words"}
    with running_collector(tmp_path, clickhouse_server.tcp_port, database) as collector:
        body = as_otlp(rows).SerializeToString()
        with pytest.raises(urllib.error.HTTPError) as refused:
            collector.send(body, token="another")
        assert refused.value.code == 401
        collector.send(body)
        wait_for(store, len({(row["TraceId"], row["SpanId"]) for row in rows}))
    kept = store.query("SELECT toString(SpanAttributes) FROM otel_traces").rows
    assert kept
    assert not any("secret words" in text for (text,) in kept)


def as_metrics(text: str, instance: str, at_s: int) -> bytes:
    """One scrape of an endpoint as the prometheus receiver hands it on."""
    metrics = []
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if family.type in ("counter", "gauge"):
                point = NumberDataPoint(
                    time_unix_nano=at_s * 10**9,
                    as_double=sample.value,
                    attributes=[
                        KeyValue(key=key, value=AnyValue(string_value=value))
                        for key, value in sample.labels.items()
                    ],
                )
                told = (
                    {"sum": Sum(data_points=[point], is_monotonic=True, aggregation_temporality=2)}
                    if family.type == "counter"
                    else {"gauge": Gauge(data_points=[point])}
                )
                metrics.append(Metric(name=sample.name, **told))
    resource = Resource(
        attributes=[KeyValue(key="service.instance.id", value=AnyValue(string_value=instance))]
    )
    scopes = [ScopeMetrics(metrics=metrics)]
    request = ExportMetricsServiceRequest(
        resource_metrics=[ResourceMetrics(resource=resource, scope_metrics=scopes)]
    )
    body: bytes = request.SerializeToString()
    return body


def test_series_that_the_collector_wrote_are_samples_of_engines_and_gpus(
    clickhouse_server: Server, tmp_path: Path
) -> None:
    database, store = fresh(clickhouse_server)
    asked = config.from_table(
        {
            "from_tables": True,
            "targets": [{"url": "http://vllm:8000/metrics"}, {"url": "http://dcgm:9400/metrics"}],
        }
    )
    begin = int(time.time()) - 600
    configs = (otelcol.CONFIG, otelcol.METRICS)
    with running_collector(tmp_path, clickhouse_server.tcp_port, database, configs=configs) as collector:
        for step in range(3):
            for text, instance in ((metrics_server.VLLM, "vllm:8000"), (metrics_server.DCGM, "dcgm:9400")):
                collector.send(as_metrics(text, instance, begin + 5 * step), signal_name="metrics")
        deadline = time.monotonic() + ARRIVAL_TIMEOUT_S
        points = "SELECT count() FROM otel_metrics_gauge WHERE MetricName = 'DCGM_FI_DEV_FB_USED'"
        while time.monotonic() < deadline:
            try:
                if store.query(points).rows[0][0] >= 3:
                    break
            except StoreError:
                pass  # the exporter makes the tables with its first batch
            time.sleep(0.2)
    batch = tables.TableReader(asked, store).round()
    assert not batch.failures
    assert [(row["engine"], row["window_s"], row["running"]) for row in batch.engines] == [
        ("vllm", 0.0, 8.0),
        ("vllm", 5.0, 8.0),
        ("vllm", 5.0, 8.0),
    ]
    assert {(row["gpu"], row["busy_share"]) for row in batch.gpus} == {("GPU-a", 0.8), ("GPU-b", 0.5)}
    store.close()


def killed(collector: Collector, _: "Outages") -> None:
    collector.stop(signal.SIGKILL)
    time.sleep(1)
    collector.start()


def clickhouse_away(_: Collector, outages: "Outages", seconds: float = 5) -> None:
    outages.stop()
    time.sleep(seconds)
    outages.start()


def clickhouse_away_for_a_minute(collector: Collector, outages: "Outages") -> None:
    clickhouse_away(collector, outages, seconds=60)


class Outages:
    """A ClickHouse server that can be away for a while and comes back with its data."""

    def __init__(self, folder: Path) -> None:
        found = library()
        require(found is not None, "the ClickHouse test server")
        assert found is not None
        self.library, self.folder, self.ports = found, folder, free_ports(2)
        self.running = ExitStack()

    def start(self) -> Server:
        return self.running.enter_context(running_in(self.library, self.folder, self.ports))

    def stop(self) -> None:
        self.running.close()


@pytest.mark.parametrize(
    "happens",
    [killed, clickhouse_away, pytest.param(clickhouse_away_for_a_minute, marks=pytest.mark.slow)],
)
def test_nothing_that_was_acknowledged_is_lost_or_counted_twice(
    tmp_path: Path, happens: Callable[[Collector, Outages], None]
) -> None:
    rng = random.Random(11)
    rows = random_cascades.rows(rng, cascades=60)
    batches = [as_otlp(batch).SerializeToString() for batch in random_cascades.deliveries(rng, rows)]
    distinct = len({(row["TraceId"], row["SpanId"]) for row in rows})
    folder = tmp_path / "clickhouse"
    folder.mkdir()
    outages = Outages(folder)
    server = outages.start()
    try:
        database, store = fresh(server)
        with running_collector(tmp_path, server.tcp_port, database) as collector:
            with ThreadPoolExecutor(3) as senders:
                sent = [senders.submit(collector.send, batch) for batch in batches]
                time.sleep(0.2)
                happens(collector, outages)
                for each in sent:
                    each.result()
            for batch in batches[::5]:
                collector.send(batch)
            wait_for(store, distinct)
            time.sleep(3)  # what is sent again may be in the queue still
            refresh.settle(store, timeout_s=60)
        exact_figures.assert_exact(store, rows)
        store.close()
    finally:
        outages.stop()
