"""Reads the text of a metrics endpoint: which engine or GPUs speak, and what they say. Pure.

metrics.csv says which metric of which engine fills which column, in which unit and after which source.
Series of one metric are added up (data-parallel ranks, reasons of an end); shares are averaged. Where two
metrics fill a column, the first of the table that is there counts.
"""

import csv
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from .samples import EngineReading, GpuReading, Reading, Values

GPU_ENGINE = "dcgm"
SHARES = frozenset({"kv_cache_share", "busy_share", "kernel_share", "tensor_share", "memory_share"})
MOST = 2.0**63  # no counter of tokens, joules or bytes gets there
SLICES_OF_A_GPU = 7  # NVIDIA's Multi-Instance GPU user guide: a GPU has seven compute slices
MODEL_LABELS = ("model_name", "model", "model_id")
PREFIXES = re.compile(r"^(ray_|kserve_)")  # Ray Serve and KServe pass vLLM's metrics on under these


@dataclass(frozen=True, slots=True)
class Metric:
    """A line of metrics.csv."""

    engine: str
    name: str
    label: str
    value: str
    column: str
    scale: float
    order: int


class BadValue(ValueError):
    """A known metric has a value that it cannot have; the text names both."""


@cache
def metrics() -> Mapping[str, tuple[Metric, ...]]:
    """The lines of metrics.csv by name of the metric, as Prometheus spells it."""
    found: defaultdict[str, list[Metric]] = defaultdict(list)
    text = resources.files("fanlight_collectors.scrape").joinpath("metrics.csv").read_text(encoding="utf-8")
    for order, row in enumerate(csv.DictReader(text.splitlines())):
        one = Metric(
            row["engine"],
            row["metric"],
            row["label"],
            row["value"],
            row["column"],
            float(row["scale"]),
            order,
        )
        found[one.name].append(one)
    return {name: tuple(rows) for name, rows in found.items()}


@cache
def gpu_names() -> tuple[tuple[re.Pattern[str], str], ...]:
    """What NVIDIA's driver calls a GPU, as pattern, and what the catalogue calls it."""
    text = resources.files("fanlight_collectors.scrape").joinpath("gpu_names.csv").read_text(encoding="utf-8")
    return tuple((re.compile(row["pattern"]), row["hardware"]) for row in csv.DictReader(text.splitlines()))


def hardware_of(reported: str) -> str:
    """The catalogue's name of a GPU; what was reported where the catalogue has none."""
    return next((name for pattern, name in gpu_names() if pattern.search(reported)), reported)


def read(text: str) -> Reading:
    """What a metrics endpoint has answered."""
    try:
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    except ValueError as error:
        return Reading("no_metrics", f"the answer is no Prometheus text: {_short(str(error))}")
    return of_samples(samples)


def of_samples(samples: Sequence[Sample]) -> Reading:
    """What the samples of one scrape of one target say, whoever took them."""
    if not samples:
        return Reading("no_metrics", "the answer holds no metric")
    known = [(sample, metric) for sample in samples for metric in _known(sample)]
    if not known:
        names = sorted({sample.name for sample in samples})
        return Reading(
            "unknown_metrics", _short(f"none of its {len(names)} metrics is known: {', '.join(names)}")
        )
    try:
        for sample, metric in known:
            _check(sample, metric)
    except BadValue as error:
        return Reading("bad_value", str(error))
    return Reading(
        "ok",
        engines=tuple(_engines([pair for pair in known if pair[1].engine != GPU_ENGINE])),
        gpus=tuple(_gpus([pair for pair in known if pair[1].engine == GPU_ENGINE])),
    )


def _known(sample: Sample) -> Iterable[Metric]:
    name = PREFIXES.sub("", sample.name)
    if name.startswith("vllm_"):
        name = name.replace("vllm_", "vllm:", 1)
    # The parser gives every counter the suffix that OpenMetrics asks for; not all exporters write it, and a
    # Collector may take it away (trim_metric_suffixes).
    found = (
        metrics().get(name) or metrics().get(name.removesuffix("_total")) or metrics().get(f"{name}_total")
    )
    for metric in found or ():
        if not metric.label or sample.labels.get(metric.label) == metric.value:
            yield metric


def _check(sample: Sample, metric: Metric) -> None:
    value = sample.value * metric.scale
    most = 1.0 + 1e-6 if metric.column in SHARES else MOST
    if not math.isfinite(value) or not 0 <= value <= most:
        raise BadValue(f"{sample.name} is {sample.value}, which no {metric.column} can be")


def _engines(known: list[tuple[Sample, Metric]]) -> Iterable[EngineReading]:
    """One reading per model that the endpoint serves; series that name none belong to its only model."""
    models = {_model(sample) for sample, _ in known} - {""}
    only = next(iter(models)) if len(models) == 1 else ""
    by_model: defaultdict[tuple[str, str], list[tuple[Sample, Metric]]] = defaultdict(list)
    for sample, metric in known:
        by_model[metric.engine, _model(sample) or only].append((sample, metric))
    for (engine, model), pairs in sorted(by_model.items()):
        yield EngineReading(engine, model, _values(pairs))


def _model(sample: Sample) -> str:
    return next((sample.labels[name] for name in MODEL_LABELS if sample.labels.get(name)), "")


def _gpus(known: list[tuple[Sample, Metric]]) -> Iterable[GpuReading]:
    by_gpu: defaultdict[tuple[str, str], list[tuple[Sample, Metric]]] = defaultdict(list)
    for sample, metric in known:
        identity = sample.labels.get("UUID") or sample.labels.get("gpu", "")
        by_gpu[identity, sample.labels.get("GPU_I_ID", "")].append((sample, metric))
    divided = {identity for identity, instance in by_gpu if instance}
    for (identity, instance), pairs in sorted(by_gpu.items()):
        if identity in divided and not instance:
            continue  # its instances tell of the whole
        labels = pairs[0][0].labels
        values = _values(pairs)
        if "busy_share" not in values.by_column and "kernel_share" in values.by_column:
            values = Values({**values.by_column, "busy_share": values.by_column["kernel_share"]})
        yield GpuReading(
            gpu=f"{identity}/{instance}" if instance else identity,
            hardware=hardware_of(labels.get("modelName", "")),
            host=labels.get("Hostname", ""),
            gpu_share=_share(labels.get("GPU_I_PROFILE", "")) if instance else 1.0,
            values=values,
            pod=labels.get("pod", ""),
        )


def _share(profile: str) -> float:
    """`3g.40gb` is three of seven slices; a profile that says none counts as the whole GPU."""
    slices = re.match(r"(\d)g\.", profile)
    return int(slices[1]) / SLICES_OF_A_GPU if slices else 1.0


def _values(pairs: list[tuple[Sample, Metric]]) -> Values:
    by_metric: defaultdict[tuple[str, int, str], list[float]] = defaultdict(list)
    for sample, metric in pairs:
        by_metric[metric.column, metric.order, sample.name].append(sample.value * metric.scale)
    values: dict[str, float] = {}
    for (column, _, _), numbers in sorted(by_metric.items(), key=lambda item: item[0][:2]):
        if column not in values:
            total = math.fsum(numbers)
            values[column] = total / len(numbers) if column in SHARES else total
    return Values(values)


def _short(text: str, most: int = 200) -> str:
    return text if len(text) <= most else text[: most - 2] + ".."
