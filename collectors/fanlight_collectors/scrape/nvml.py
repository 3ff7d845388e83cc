"""The GPUs of this machine by NVIDIA's management library, where driver and nvidia-ml-py are present."""

import importlib
from collections.abc import Callable
from typing import Any

from .readings import hardware_of
from .samples import GpuReading, Reading, Values


def read() -> Reading:
    """What all GPUs here say now; `unreachable` with the reason where there is no driver or no package."""
    try:
        library = importlib.import_module("pynvml")
    except ModuleNotFoundError:
        return Reading("unreachable", "nvidia-ml-py is not installed: pip install nvidia-ml-py")
    try:
        library.nvmlInit()
        try:
            return Reading(
                "ok", gpus=tuple(_gpu(library, index) for index in range(library.nvmlDeviceGetCount()))
            )
        finally:
            library.nvmlShutdown()
    except library.NVMLError as error:
        return Reading("unreachable", f"NVIDIA's driver does not answer: {error}")


def _gpu(library: Any, index: int) -> GpuReading:
    handle = library.nvmlDeviceGetHandleByIndex(index)
    asked: dict[str, Callable[[], float]] = {
        "busy_share": lambda: library.nvmlDeviceGetUtilizationRates(handle).gpu / 100,
        "power_w": lambda: library.nvmlDeviceGetPowerUsage(handle) / 1e3,
        "energy_j": lambda: library.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3,
        "memory_used_bytes": lambda: float(library.nvmlDeviceGetMemoryInfo(handle).used),
    }
    values = {}
    for column, ask in asked.items():
        try:
            values[column] = float(ask())
        except library.NVMLError:
            continue  # this GPU does not tell it
    return GpuReading(
        gpu=str(library.nvmlDeviceGetUUID(handle)),
        hardware=hardware_of(str(library.nvmlDeviceGetName(handle))),
        host="",
        gpu_share=1.0,
        values=Values(values),
    )
