"""Reads files of serving points, and cleans them: what was left out or put right is counted.

Two forms of CSV are known by their columns:

- aiconfigurator's silicon samples (`silicon_ttft_ms`, `silicon_tpot_ms`): constant concurrency.
  GPU-seconds a request = (TTFT + (output - 1) TPOT) x GPUs / concurrency.
- Splitwise's performance model (`prompt_time`, `token_time`, milliseconds): static batches.
  GPU-seconds a request = (prompt_time + (output - 1) token_time) x GPUs / batch. Its e2e_time stops early
  from 1,024 tokens on and is not used.
"""

import csv
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fanlight_schema.gpu import catalogue, roofline
from fanlight_schema.gpu.catalogue import Precision
from fanlight_schema.gpu.features import work
from fanlight_schema.gpu.pricing import cost

from .points import ServingPoint

Row = Mapping[str, str]

MACHINES = {
    "a100_sxm": "A100 SXM 80GB",
    "h100_sxm": "H100 SXM",
    "h200_sxm": "H200 SXM",
    "b200_sxm": "B200 SXM",
    "l40s": "L40S",
    "a100-80gb": "A100 SXM 80GB",
    "h100-80gb": "H100 SXM",
    "h100-80gb-pcap": "H100 SXM",
}
# What the columns precision, gemm_quant_mode and the model's own name say, first that says something.
PRECISIONS: Mapping[str, Precision] = {
    "bf16": "bf16",
    "fp16": "bf16",
    "fp8": "fp8",
    "fp8_block": "fp8",
    "int4": "int4",
    "int4_wo": "int4",
    "fp4": "fp4",
    "nvfp4": "fp4",
}


# Times the modelled GPU-seconds, either way: what is further off is in another unit. The 3,349 distinct
# points of the two public files are between 0.034 and 5.8 times.
FURTHEST_FROM_MODELLED = 50.0


class UnreadablePoints(ValueError):
    """A file that holds no serving points in a form that is known."""


class _Unusable(Exception):
    """Why one row is left out."""


@dataclass(slots=True)
class Reading:
    """The points of a file, and what became of its rows."""

    points: list[ServingPoint] = field(default_factory=list)
    rows: int = 0
    gpus_put_right: int = 0  # rows whose tensor parallelism was stored as tp x ep
    repeats: int = 0  # rows with the same latencies as another of the same model and setting
    left_out: Counter[str] = field(default_factory=Counter)


def read_points(path: Path) -> Reading:
    """The distinct points of a CSV file. Raises UnreadablePoints, which says what is wrong with it."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            columns = set(rows.fieldnames or ())
            reader = next((read for needed, read in _FORMS if needed <= columns), None)
            if reader is None:
                raise UnreadablePoints(
                    f"{path} has none of the known sets of columns: "
                    + "; or ".join(", ".join(sorted(needed)) for needed, _ in _FORMS)
                )
            return _read(rows, reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnreadablePoints(f"{path} cannot be read as CSV: {error}") from error


def _read(rows: Iterable[Row], reader: Callable[[Row, Reading], ServingPoint]) -> Reading:
    reading = Reading()
    seen: set[tuple[object, ...]] = set()
    for row in rows:
        reading.rows += 1
        try:
            point = reader(row, reading)
        except _Unusable as why:
            reading.left_out[str(why)] += 1
            continue
        # The GPU count is no part of it: the same measurement is listed with several.
        same = (
            *point.group,
            point.input_tokens,
            point.output_tokens,
            point.batch,
            point.gpu_seconds / point.gpus,
        )
        if same in seen:
            reading.repeats += 1
        else:
            seen.add(same)
            reading.points.append(point)
    return reading


def _silicon(row: Row, reading: Reading) -> ServingPoint:
    if row.get("mode", "agg") != "agg":
        raise _Unusable("prefill and decode on separate replicas")
    concurrency = re.search(r"silicon_concurrency=(\d+)", row.get("silicon_data_source") or "")
    batch = int(concurrency[1]) if concurrency else _count(row, "batch_size")
    gpus, put_right = _replica_gpus(row)
    reading.gpus_put_right += put_right
    output = _count(row, "osl")
    seconds = (_time(row, "silicon_ttft_ms") + (output - 1) * _time(row, "silicon_tpot_ms")) / 1000
    return _point(
        row,
        machine=row["system"],
        name=row["model_path"],
        backend=row["backend"],
        version=row.get("backend_version") or "",
        precision=_precision(row.get("precision"), row.get("gemm_quant_mode"), row["model_path"]),
        parallel=f"ep{row.get('moe_ep_size') or 1}dp{row.get('attention_dp_size') or 1}",
        gpus=gpus,
        lengths=(_count(row, "isl"), output),
        batch=batch,
        seconds=seconds,
    )


def _splitwise(row: Row, reading: Reading) -> ServingPoint:
    output = _count(row, "token_size")
    return _point(
        row,
        machine=row["hardware"],
        name=row["model"],
        backend="static batch",
        version="",
        precision="bf16",
        parallel="",
        gpus=_count(row, "tensor_parallel"),
        lengths=(_count(row, "prompt_size"), output),
        batch=_count(row, "batch_size"),
        seconds=(_time(row, "prompt_time") + (output - 1) * _time(row, "token_time")) / 1000,
    )


_FORMS: tuple[tuple[frozenset[str], Callable[[Row, Reading], ServingPoint]], ...] = (
    (
        frozenset(
            ("model_path", "system", "backend", "isl", "osl", "tp_size", "silicon_ttft_ms", "silicon_tpot_ms")
        ),
        _silicon,
    ),
    (
        frozenset(
            (
                "model",
                "hardware",
                "prompt_size",
                "batch_size",
                "token_size",
                "tensor_parallel",
                "prompt_time",
                "token_time",
            )
        ),
        _splitwise,
    ),
)


def _point(
    row: Row,
    *,
    machine: str,
    name: str,
    backend: str,
    version: str,
    precision: Precision,
    parallel: str,
    gpus: int,
    lengths: tuple[int, int],
    batch: int,
    seconds: float,
) -> ServingPoint:
    hardware = MACHINES.get(machine, machine)
    if hardware not in catalogue.hardware():
        raise _Unusable(f"hardware {machine!r} is not in the catalogue")
    model = _model(name)
    if model is None:
        raise _Unusable(f"model {name!r} is not in the catalogue")
    point = ServingPoint(
        model=model,
        hardware=hardware,
        machine=machine,
        backend=backend,
        version=version,
        precision=precision,
        parallel=parallel,
        gpus=gpus,
        input_tokens=lengths[0],
        output_tokens=lengths[1],
        batch=batch,
        gpu_seconds=seconds * gpus / batch,
    )
    _must_be_possible(point)
    return point


def _must_be_possible(point: ServingPoint) -> None:
    model, gpu = catalogue.models()[point.model], catalogue.hardware()[point.hardware]
    weights = roofline.weight_bytes(model, point.precision)
    if weights > point.gpus * gpu.memory:
        raise _Unusable(
            f"{model.name} in {point.precision} does not fit: "
            f"{weights / 1e9:.0f} GB on {point.gpus} {gpu.name}"
        )
    rates = roofline.rates(model, gpu, point.gpus, point.precision)
    modelled = cost(work(point.input_tokens, 0, point.output_tokens), rates, point.batch)
    if point.gpu_seconds < modelled / FURTHEST_FROM_MODELLED:
        raise _Unusable("times far below what the hardware can do: are they in seconds? Columns are ms")
    if point.gpu_seconds > modelled * FURTHEST_FROM_MODELLED:
        raise _Unusable("times far above what the hardware takes: are they in microseconds? Columns are ms")


def _replica_gpus(row: Row) -> tuple[int, bool]:
    """GPUs of one replica, and whether the row's own figures had to be put right.

    A tensor parallelism that was stored as tp x ep names k x k GPUs and means k: rows with tp 16 and 64 have
    twins of the same latencies at 4 and 8. Attention split over data shares its GPUs with the experts.
    """
    tensor, data = _count(row, "tp_size"), _count(row, "attention_dp_size", 1)
    moe_tensor, expert = _count(row, "moe_tp_size", 1), _count(row, "moe_ep_size", 1)
    pipeline = _count(row, "pp_size", 1)
    if moe_tensor == expert > 1 and tensor * data == moe_tensor**2:
        return moe_tensor * pipeline, True
    if tensor > 1 and data > 1:
        return tensor * pipeline, False
    return max(tensor * data, moe_tensor * expert) * pipeline, False


def _count(row: Row, column: str, default: int | None = None) -> int:
    text = (row.get(column) or "").strip()
    if default is not None and text in ("", "0"):
        return default
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (1 <= number < 1e9) or number != int(number):
        raise _Unusable(f"{column} is not a count of 1 or more: {text!r}")
    return int(number)


def _time(row: Row, column: str) -> float:
    text = row.get(column) or ""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 < found < math.inf:
        raise _Unusable(f"{column} is not a time: {text!r}")
    return found


def _model(name: str) -> str | None:
    """The catalogue's model; copies in other number formats (NVFP4, FP8) and renamed ones are the same."""
    plain = re.sub(r"-(nv)?fp[48]$", "", name, flags=re.IGNORECASE)
    return next((m.name for m in catalogue.models().values() if re.search(m.pattern, plain)), None)


def _precision(*said: str | None) -> Precision:
    for word in said:
        if word and word in PRECISIONS:
            return PRECISIONS[word]
    in_name = re.search(r"(fp4|fp8)$", said[-1] or "", flags=re.IGNORECASE)
    return PRECISIONS[in_name[1].lower()] if in_name else "bf16"
