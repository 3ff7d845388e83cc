"""Where a figure was taken, and tables for the terminal."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "fanlight",
    "openai",
    "httpx",
    "httpx2",
    "opentelemetry-sdk",
    "clickhouse-connect",
    "chdb",
    "uvicorn",
)


def machine() -> dict[str, Any]:
    """CPU, cores this process may use, Python and the versions of what takes part."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_1m": round(os.getloadavg()[0], 1),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "packages": {name: installed for name in PACKAGES if (installed := _installed(name))},
    }


def describe(where: Mapping[str, Any]) -> str:
    packages = ", ".join(f"{name} {installed}" for name, installed in where["packages"].items())
    head = f"{where['cpu']}, {where['cores']} cores, load {where['load_1m']}, {where['system']}"
    return f"{head}, Python {where['python']}\n{packages}"


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns as wide as their widest cell, the first to the left and the others to the right."""
    cells = [list(columns), *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(_line(row, widths) for row in cells)


def write(path: Path | None, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """The bench's rows and its machine as JSON, if a path was asked for."""
    if path:
        path.write_text(
            json.dumps({"bench": name, "machine": machine(), "rows": list(rows)}, indent=1) + "\n"
        )


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = [(text, width) for text, width in zip(row, widths, strict=True)]
    return "  ".join([first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)])


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    names = (
        [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        if cpuinfo.exists()
        else []
    )
    return names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine()


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
