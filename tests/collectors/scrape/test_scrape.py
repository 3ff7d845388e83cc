"""`fanlight scrape` as a user runs it, on real HTTP endpoints, into a folder and through a running `up`."""

import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import httpx
import prometheus_client
import pytest

import made_store
import metrics_server
from fanlight_cli import run_cli
from fanlight_collectors.scrape import config, loop, nvml
from metrics_server import MetricsServer, running_metrics
from running import FANLIGHT, clean_environment, running_up

ENGINES = (
    "SELECT target, engine, model, status, output_tokens, gpus, hardware FROM engine_samples ORDER BY target"
)
GPUS = "SELECT gpu, hardware, busy_share FROM gpu_samples ORDER BY gpu"


@pytest.fixture
def server() -> Iterator[MetricsServer]:
    with running_metrics() as running:
        running.texts = {
            "vllm": metrics_server.VLLM,
            "dcgm": metrics_server.DCGM,
            "html": metrics_server.HTML,
        }
        yield running


def rows(folder: Path, sql: str) -> list[dict[str, object]]:
    answer = run_cli("sql", sql, "-f", "json", folder=folder)
    assert answer.returncode == 0, answer.stderr
    told: list[dict[str, object]] = json.loads(answer.stdout)
    return told


def test_one_sample_of_each_target_is_kept_and_what_gives_none_says_why(
    server: MetricsServer, tmp_path: Path
) -> None:
    made_store.make(tmp_path / "fanlight-data")
    (tmp_path / "scrape.toml").write_text(
        f'[[targets]]\nurl = "{server.url("vllm")}"\nhardware = "H100 SXM"\ngpus = 2\n'
        f'[[targets]]\nurl = "{server.url("dcgm")}"\n'
        f'[[targets]]\nurl = "{server.url("html")}"\n'
        f'[[targets]]\nurl = "{server.url("gone")}"\n'
    )
    done = run_cli("scrape", "--config", str(tmp_path / "scrape.toml"), "--once", folder=tmp_path)
    assert done.returncode == 1
    assert "3 samples of engines, 2 of GPUs" in done.stdout
    assert f"{server.url('html')}: no_metrics: the answer is no Prometheus text" in done.stderr
    assert f"{server.url('gone')}: unreachable: it answered 404" in done.stderr
    assert "2 of 4 targets gave no figures" in done.stderr
    told = rows(tmp_path, ENGINES)
    assert [(row["engine"], row["status"]) for row in told] == [
        ("", "unreachable"),
        ("", "no_metrics"),
        ("vllm", "ok"),
    ]
    assert told[2] | {"target": ""} == {
        "target": "",
        "engine": "vllm",
        "model": "Qwen/Qwen3-32B",
        "status": "ok",
        "output_tokens": 90,
        "gpus": 2,
        "hardware": "H100 SXM",
    }
    assert rows(tmp_path, GPUS) == [
        {"gpu": "GPU-a", "hardware": "H100 SXM", "busy_share": 0.8},
        {"gpu": "GPU-b", "hardware": "H100 SXM", "busy_share": 0.5},
    ]


def test_through_a_running_up_samples_become_windows_and_supply(
    server: MetricsServer, tmp_path: Path
) -> None:
    with running_up(f"chdb://{tmp_path}/data", tmp_path) as up:
        refused = urllib.request.Request(f"{up.url}/v1/samples/engine_samples", data=b"{}")
        with pytest.raises(urllib.error.HTTPError) as without_token:
            urllib.request.urlopen(refused)
        without_token.value.close()
        assert without_token.value.code == 401
        with subprocess.Popen(
            [
                *FANLIGHT,
                *("scrape", server.url("vllm"), server.url("dcgm")),
                *("--every", "1", "--store", up.url),
            ],
            env=clean_environment(),
            stderr=subprocess.PIPE,
        ) as scraper:
            deadline = time.monotonic() + 60
            windows: list[dict[str, object]] = []
            grown = metrics_server.VLLM.replace(
                'generation_tokens_total{engine="0",model_name="Qwen/Qwen3-32B"} 90.0',
                'generation_tokens_total{engine="0",model_name="Qwen/Qwen3-32B"} 130.0',
            )
            while time.monotonic() < deadline and not any(row["output_tokens"] for row in windows):
                windows = up.rows("SELECT output_tokens, uncached_tokens, running FROM engine_windows")
                if windows:
                    server.texts["vllm"] = grown
                time.sleep(0.2)
            scraper.send_signal(signal.SIGTERM)
            assert scraper.wait(timeout=20) == 0
        assert sum(int(str(row["output_tokens"])) for row in windows) == 40
        assert {row["running"] for row in windows} == {8}
        (supply,) = up.rows(
            "SELECT sum(busy_gpu_seconds) / sum(allocated_gpu_seconds) AS busy FROM gpu_supply_hourly"
        )
        assert supply["busy"] == pytest.approx((0.8 + 0.5) / 2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name the endpoints, or a file of them with --config"),
        (["vllm:8000"], "target 1: url is 'vllm:8000'; give an http:// or https:// address"),
        (["http://a/m", "--every", "0"], "every_s is 0.0; give seconds, at least 1"),
        (["--config", "none.toml"], "none.toml cannot be read: No such file or directory"),
    ],
)
def test_wrong_usage_says_what_to_do(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = run_cli("scrape", *arguments, "--once", folder=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_target_that_hangs_is_told_and_holds_up_no_other(server: MetricsServer) -> None:
    wanted = config.from_urls([server.url("slow"), server.url("vllm")])
    with httpx.Client(timeout=0.3) as client:
        batch = loop.Scraper(wanted, client).round()
    assert [row["status"] for row in batch.engines] == ["unreachable", "ok"]
    assert batch.failures == [f"{server.url('slow')}: unreachable: it did not answer in time"]


def test_an_exporter_of_the_official_client_is_read() -> None:
    registry = prometheus_client.CollectorRegistry()
    tokens = prometheus_client.Counter("vllm:generation_tokens", "Tokens.", ["model_name"], registry=registry)
    tokens.labels("m").inc(41)
    served, thread = prometheus_client.start_http_server(0, "127.0.0.1", registry)
    try:
        with httpx.Client() as client:
            wanted = config.from_urls([f"http://127.0.0.1:{served.server_port}/metrics"])
            (row,) = loop.Scraper(wanted, client).round().engines
    finally:
        served.shutdown()
        served.server_close()
        thread.join()
    assert (row["engine"], row["model"], row["output_tokens"]) == ("vllm", "m", 41)


def test_without_a_driver_this_machine_s_gpus_are_unreachable_and_nothing_else_happens() -> None:
    reading = nvml.read()
    assert reading.status == "ok" or (reading.status == "unreachable" and "driver" in reading.detail)
