"""Readings as rows of engine_samples and gpu_samples."""

from datetime import datetime
from typing import Any, TypeAlias

from .samples import Place, Reading

Row: TypeAlias = dict[str, Any]
ENGINES, GPUS = "engine_samples", "gpu_samples"
TABLES = (ENGINES, GPUS)
ENGINE_COLUMNS = (
    "running",
    "waiting",
    "kv_cache_share",
    "input_tokens",
    "cached_tokens",
    "uncached_tokens",
    "output_tokens",
    "requests",
    "prefill_s",
    "decode_s",
)
GPU_COLUMNS = ("busy_share", "tensor_share", "memory_share", "power_w", "energy_j", "memory_used_bytes")


def engine_rows(place: Place, reading: Reading, at: datetime, window_s: float) -> list[Row]:
    """One row per model that the target serves; one without figures where it tells none of an engine."""
    common = _common(place, at, window_s) | {
        "server_address": place.server_address,
        "gpus": place.gpus,
        "gpu_ids": list(place.gpu_ids),
        "hardware": place.hardware,
        "status": reading.status,
        "detail": reading.detail,
    }
    if reading.status != "ok":
        return [common | {"engine": "", "model": place.model} | dict.fromkeys(ENGINE_COLUMNS)]
    return [
        common
        | {"engine": one.engine, "model": place.model or one.model}
        | {column: one.values.get(column) for column in ENGINE_COLUMNS}
        for one in reading.engines
    ]


def gpu_rows(place: Place, reading: Reading, at: datetime, window_s: float) -> list[Row]:
    """One row per GPU, or per instance of one that is divided."""
    return [
        _common(place, at, window_s)
        | {
            "gpu": one.gpu,
            "host": one.host,
            "pod": one.pod,
            "hardware": place.hardware or one.hardware,
            "gpu_share": one.gpu_share,
            "model": place.model,
        }
        | {column: one.values.get(column) for column in GPU_COLUMNS}
        for one in reading.gpus
    ]


def _common(place: Place, at: datetime, window_s: float) -> Row:
    return {
        "scraped_at": at.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
        "target": place.target,
        "window_s": window_s,
        "region": place.region,
        "workload": place.workload,
    }
