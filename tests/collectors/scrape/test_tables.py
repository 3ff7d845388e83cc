"""Series that a Collector wrote are the samples that asking the targets would have given."""

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

import pytest
from prometheus_client.parser import text_string_to_metric_families

import metrics_server
from fanlight_collectors.scrape import config, readings, sinks, tables
from fanlight_schema.store import Store

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=timezone.utc)
BEGIN = NOW - timedelta(minutes=2)
POINTS = (
    "ResourceAttributes Map(String, String), MetricName String, Attributes Map(String, String),"
    " TimeUnix DateTime, Flags UInt32"
)
TARGETS = {"http://vllm:8000/metrics": metrics_server.VLLM, "http://dcgm:9400/metrics": metrics_server.DCGM}
ASKED = config.from_table({"from_tables": True, "targets": [{"url": url} for url in TARGETS]})


def make_tables(store: Store) -> None:
    """The columns of the exporter's tables that are read, as its version 0.165 has them."""
    for name, value in (("gauge", "Value"), ("sum", "Value"), ("histogram", "Sum")):
        columns = f"{POINTS}, {value} Float64"
        store.command(f"CREATE TABLE otel_metrics_{name} ({columns}) ENGINE = MergeTree ORDER BY TimeUnix")


def write(store: Store, url: str, text: str, at: datetime, flags: int = 0) -> None:
    """One scrape, as the prometheus receiver hands it on."""
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            table = "otel_metrics_sum" if family.type == "counter" else "otel_metrics_gauge"
            row: Mapping[str, list[object]] = {
                "ResourceAttributes": [{"service.instance.id": url.split("/")[2]}],
                "MetricName": [sample.name],
                "Attributes": [dict(sample.labels)],
                "TimeUnix": [int(at.timestamp())],
                "Flags": [flags],
                "Value": [sample.value],
            }
            store.insert(table, row)


@pytest.fixture
def reader(embedded_store: Store) -> tables.TableReader:
    make_tables(embedded_store)
    return tables.TableReader(ASKED, embedded_store, now=lambda: NOW)


def test_each_scrape_is_the_sample_that_the_target_would_have_given(reader: tables.TableReader) -> None:
    keep = sinks.into_store(reader.store)
    for step in range(3):
        for url, text in TARGETS.items():
            write(reader.store, url, text, BEGIN + timedelta(seconds=5 * step))
    batch = reader.round()
    keep(batch)
    assert batch.failures == []
    assert [row["window_s"] for row in batch.engines] == [0.0, 5.0, 5.0]
    vllm = readings.read(metrics_server.VLLM).engines[0]
    assert {name: batch.engines[0][name] for name in vllm.values.by_column} == vllm.values.by_column
    gpus = readings.read(metrics_server.DCGM).gpus
    assert [(row["gpu"], row["busy_share"]) for row in batch.gpus[:2]] == [
        (one.gpu, one.values.get("busy_share")) for one in gpus
    ]

    # What comes later goes on from there, also in another process; what was read is not read again.
    write(reader.store, "http://vllm:8000/metrics", metrics_server.VLLM, BEGIN + timedelta(seconds=15))
    for each in (reader, tables.TableReader(ASKED, reader.store, now=lambda: NOW)):
        later = each.round()
        assert [(row["target"], row["window_s"]) for row in later.engines] == [
            ("http://vllm:8000/metrics", 5.0)
        ]
        assert later.gpus == []


def test_a_series_that_has_ended_is_no_sample(reader: tables.TableReader) -> None:
    for url, text in TARGETS.items():
        write(reader.store, url, text, BEGIN)
        write(reader.store, url, text, BEGIN + timedelta(seconds=5), flags=1)
    batch = reader.round()
    assert len(batch.engines) == 1


def test_a_target_that_the_collector_does_not_scrape_is_told(reader: tables.TableReader) -> None:
    write(reader.store, "http://vllm:8000/metrics", metrics_server.VLLM, BEGIN)
    batch = reader.round()
    assert batch.failures == [
        "http://dcgm:9400/metrics: unreachable:"
        " the Collector's tables hold nothing newer of the instance dcgm:9400"
    ]


def test_without_the_collectors_tables_it_is_said_what_makes_them(embedded_store: Store) -> None:
    with pytest.raises(tables.NoTables, match="has no otel_metrics_gauge, otel_metrics_sum"):
        tables.TableReader(ASKED, embedded_store)


@pytest.mark.parametrize(
    ("url", "instance"),
    [
        ("http://vllm:8000/metrics", "vllm:8000"),
        ("http://vllm/metrics", "vllm:80"),
        ("https://vllm/metrics", "vllm:443"),
    ],
)
def test_an_instance_is_host_and_port(url: str, instance: str) -> None:
    assert tables.instance_of(config.from_urls([url]).targets[0]) == instance
