"""What engines and GPUs print is read into the right columns and units; what is none is told as such."""

import csv
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

import metrics_server
import recordings
from fanlight_collectors.scrape import readings
from fanlight_collectors.scrape.rows import ENGINE_COLUMNS, GPU_COLUMNS
from fanlight_collectors.scrape.samples import EngineReading, GpuReading, Values

ENGINES = {
    "vllm": (
        metrics_server.VLLM,
        "Qwen/Qwen3-32B",
        {
            "running": 8,
            "waiting": 1,
            "kv_cache_share": 0.5,
            "input_tokens": 1500,
            "cached_tokens": 700,
            "output_tokens": 90,
            "requests": 6,
        },
    ),
    "sglang": (
        metrics_server.SGLANG,
        "meta-llama/Llama-3.1-8B-Instruct",
        {
            "running": 161,
            "waiting": 2826,
            "kv_cache_share": 0.28,
            "input_tokens": 8_128_902,
            "output_tokens": 7_557_572,
        },
    ),
    "tgi": (
        metrics_server.TGI,
        "",
        {"running": 4, "waiting": 7, "input_tokens": 1234, "output_tokens": 8123, "requests": 44},
    ),
    "llama.cpp": (
        metrics_server.LLAMA_CPP,
        "",
        {
            "running": 2,
            "waiting": 1,
            "uncached_tokens": 900,
            "output_tokens": 1250,
            "prefill_s": 1.5,
            "decode_s": 20.5,
        },
    ),
    "triton": (
        metrics_server.TRITON,
        "tensorrt_llm",
        {"running": 6, "waiting": 3, "kv_cache_share": 0.5},
    ),
    "trtllm-serve": (
        metrics_server.TRTLLM_SERVE,
        "m",
        {"running": 6, "waiting": 3, "kv_cache_share": 0.5},
    ),
}


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_is_known_by_its_metrics(engine: str) -> None:
    text, model, values = ENGINES[engine]
    reading = readings.read(text)
    assert (reading.status, reading.gpus) == ("ok", ())
    assert reading.engines == (EngineReading(engine, model, Values(values)),)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("vllm:", "ray_vllm:"), ("vllm:", "ray_vllm_"), ("vllm:", "kserve_vllm:")]
)
def test_what_passes_vllm_s_metrics_on_under_a_name_of_its_own_is_vllm(ours: str, theirs: str) -> None:
    renamed = metrics_server.VLLM.replace(ours, theirs)
    assert readings.read(renamed) == readings.read(metrics_server.VLLM)


def test_two_models_of_one_endpoint_are_two_readings() -> None:
    other = metrics_server.VLLM.replace("Qwen/Qwen3-32B", "other")
    reading = readings.read(
        metrics_server.VLLM + "".join(line for line in other.splitlines(True) if line[0] != "#")
    )
    (first, second) = reading.engines
    assert (first.model, second.model) == ("Qwen/Qwen3-32B", "other")
    assert first.values == second.values


def test_a_gpu_s_share_of_time_energy_and_memory_are_in_the_units_of_the_columns() -> None:
    reading = readings.read(metrics_server.DCGM)
    assert reading.engines == ()
    first, second = reading.gpus
    assert (first.gpu, first.hardware, first.host, first.gpu_share) == ("GPU-a", "H100 SXM", "n1", 1)
    assert {column: first.values.get(column) for column in GPU_COLUMNS} == {
        "busy_share": 0.8,  # the graphics engine's, which is finer than `a kernel ran`
        "tensor_share": None,
        "memory_share": None,
        "power_w": 600.5,
        "energy_j": 5.0,
        "memory_used_bytes": 1024 * 2**20,
    }
    assert second.values.get("busy_share") == 0.5


def test_of_a_divided_gpu_its_instances_count_by_their_slices() -> None:
    reading = readings.read(metrics_server.DCGM_DIVIDED)
    assert reading.gpus == (
        GpuReading("GPU-a/1", "H200 SXM", "n1", 3 / 7, Values({"busy_share": 0.9})),
        GpuReading("GPU-a/2", "H200 SXM", "n1", 4 / 7, Values({"busy_share": 0.1})),
    )


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        (metrics_server.HTML, "no_metrics", "no Prometheus text"),
        ("", "no_metrics", "no metric"),
        ("# HELP only a comment\n", "no_metrics", "no metric"),
        ("http_requests_total 3\n", "unknown_metrics", "none of its 1 metrics is known: http_requests_total"),
        ("vllm:num_requests_running NaN\n", "bad_value", "vllm:num_requests_running is nan"),
        ("vllm:prompt_tokens_total -1\n", "bad_value", "vllm:prompt_tokens_total is -1,"),
        ("vllm:prompt_tokens_total 1e300\n", "bad_value", "vllm:prompt_tokens_total is 1e+300"),
        ("vllm:kv_cache_usage_perc 1.5\n", "bad_value", "which no kv_cache_share can be"),
        ('DCGM_FI_DEV_GPU_UTIL{UUID="a"} 250\n', "bad_value", "which no kernel_share can be"),
    ],
)
def test_what_gives_no_figure_says_why(text: str, status: str, said: str) -> None:
    reading = readings.read(text)
    assert (reading.status, reading.engines, reading.gpus) == (status, (), ())
    assert said in reading.detail


@given(st.text(max_size=300))
def test_no_text_is_an_exception(text: str) -> None:
    assert readings.read(text).status in ("no_metrics", "unknown_metrics", "bad_value", "ok")


def test_every_line_of_the_table_has_a_column_that_is_kept_and_a_source() -> None:
    text = resources.files("fanlight_collectors.scrape").joinpath("metrics.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert {row["column"] for row in rows} <= {*ENGINE_COLUMNS, *GPU_COLUMNS, "kernel_share"}
    assert all(row["source"] for row in rows)
    assert {row["engine"] for row in rows} == {*ENGINES, "dcgm"}


@pytest.mark.parametrize("name", ["vllm_v0_aibrix_qwen2.5-coder-1.5b.prom", "vllm_aibrix_utils_test.prom"])
def test_a_real_scrape_of_vllm_is_read(name: str) -> None:
    folder = recordings.data_folder()
    if folder is None or not (folder / "prometheus-samples" / name).exists():
        pytest.skip("shared data is optional")  # the made-up texts above hold the same columns
    (engine,) = readings.read((folder / "prometheus-samples" / name).read_text()).engines
    assert engine.engine == "vllm"
    assert engine.model.startswith("Qwen/Qwen2.5")
    assert engine.values.get("kv_cache_share") == 0
