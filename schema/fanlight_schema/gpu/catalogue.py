"""The GPUs and open models that fanlight knows: hardware.csv and models.csv, each row with its source.

Accelerators that are no GPUs (accelerators.csv) have figures but no rate cards: a second of them is a unit of
its own, never added to GPU-seconds.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal, TypeAlias

Precision: TypeAlias = Literal["bf16", "fp8", "int4", "fp4"]

# Bytes of one weight. fp4 is MXFP4: 4 bits, and 8 bits of scale for 32 of them (OCP Microscaling v1.0). int4
# is 4 bits and 16 of scale for 32 (Kimi K2's compressed-tensors config), unpacked and computed in bf16.
WEIGHT_BYTES: Mapping[Precision, float] = {"bf16": 2.0, "fp8": 1.0, "int4": 4.5 / 8, "fp4": 4.25 / 8}
REFERENCE_GPU = "H100 SXM"


@dataclass(frozen=True, slots=True)
class Hardware:
    """One GPU: dense peak rates (FLOP/s), memory (bytes, bytes/s), link to others (bytes/s, one way)."""

    name: str
    bf16_flops: float
    fp8_flops: float | None
    fp4_flops: float | None
    bandwidth: float
    memory: float
    link: float
    power_w: float
    source: str
    sparse_bf16_flops: float | None = None  # the maker's figure with 2:4 sparsity
    server_power_w: float | None = None  # of a whole server or rack, per GPU

    def flops(self, precision: Precision) -> float:
        """Peak FLOP/s for weights of `precision`: lacking a format, it computes in a wider one."""
        fp8 = self.fp8_flops or self.bf16_flops
        fp4 = self.fp4_flops or self.bf16_flops
        return {"bf16": self.bf16_flops, "fp8": fp8, "int4": self.bf16_flops, "fp4": fp4}[precision]


@dataclass(frozen=True, slots=True)
class Accelerator:
    """What is no GPU: dense peak rates (FLOP/s), memory (bytes, bytes/s); None where no figure was read."""

    name: str
    unit: str  # what a second of it is called
    bf16_flops: float | None
    fp8_flops: float | None
    bandwidth: float | None
    memory: float | None
    power_w: float | None
    source: str


@dataclass(frozen=True, slots=True)
class Model:
    """An open model's architecture. `pattern` finds its spellings in model names (RE2)."""

    name: str
    pattern: str
    parameters: float
    active_parameters: float  # that one token goes through
    layers: int
    full_attention_layers: int  # the others have a window or keep a state of fixed size
    hidden: int
    heads: int
    qk_head_dim: int
    v_head_dim: int
    kv_values_per_layer: int  # numbers that the cache keeps of a token in a layer
    experts: int
    experts_per_token: int
    precision: Precision  # that the weights were released in
    source: str
    windowed_layers: int = 0  # that attend to, and cache, no more than `window` tokens
    window: int = 0  # tokens; 0 where there are none

    @property
    def state_layers(self) -> int:
        """Layers without a cache per token: linear attention, state space models, or no attention at all."""
        return self.layers - self.full_attention_layers - self.windowed_layers

    @property
    def expert_share(self) -> float:
        """Experts that a token uses over all experts, 1 for a dense model."""
        return self.experts_per_token / self.experts

    @property
    def dense_share(self) -> float:
        """Share of the weights that every step reads, from active = dense + (all - dense) expert_share."""
        if self.experts == 1:
            return 1.0
        dense = (self.active_parameters - self.parameters * self.expert_share) / (1 - self.expert_share)
        return dense / self.parameters


@cache
def hardware() -> dict[str, Hardware]:
    """All GPUs by name."""
    return {gpu.name: gpu for gpu in map(_hardware, _rows("hardware.csv"))}


@cache
def accelerators() -> dict[str, Accelerator]:
    """All accelerators that are no GPUs by name."""
    return {one.name: one for one in map(_accelerator, _rows("accelerators.csv"))}


@cache
def models() -> dict[str, Model]:
    """All models by name."""
    return {model.name: model for model in map(_model, _rows("models.csv"))}


def _rows(file: str) -> Iterator[dict[str, str]]:
    text = (resources.files("fanlight_schema.gpu") / file).read_text(encoding="utf-8")
    yield from csv.DictReader(text.splitlines())


def _hardware(row: dict[str, str]) -> Hardware:
    return Hardware(
        name=row["hardware"],
        bf16_flops=float(row["bf16_tflops"]) * 1e12,
        fp8_flops=_scaled(row["fp8_tflops"], 1e12),
        fp4_flops=_scaled(row["fp4_tflops"], 1e12),
        bandwidth=float(row["bandwidth_tb_s"]) * 1e12,
        memory=float(row["memory_gb"]) * 1e9,
        link=float(row["link_gb_s"]) * 1e9,
        power_w=float(row["power_w"]),
        source=row["source"],
        sparse_bf16_flops=_scaled(row["sparse_bf16_tflops"], 1e12),
        server_power_w=_scaled(row["server_power_w"], 1),
    )


def _accelerator(row: dict[str, str]) -> Accelerator:
    return Accelerator(
        name=row["accelerator"],
        unit=row["unit"],
        bf16_flops=_scaled(row["bf16_tflops"], 1e12),
        fp8_flops=_scaled(row["fp8_tflops"], 1e12),
        bandwidth=_scaled(row["bandwidth_tb_s"], 1e12),
        memory=_scaled(row["memory_gb"], 1e9),
        power_w=_scaled(row["power_w"], 1),
        source=row["source"],
    )


def _scaled(text: str, unit: float) -> float | None:
    return float(text) * unit if text else None


def _model(row: dict[str, str]) -> Model:
    return Model(
        name=row["model"],
        pattern=row["pattern"],
        parameters=float(row["parameters_b"]) * 1e9,
        active_parameters=float(row["active_parameters_b"]) * 1e9,
        layers=int(row["layers"]),
        full_attention_layers=int(row["full_attention_layers"]),
        hidden=int(row["hidden"]),
        heads=int(row["heads"]),
        qk_head_dim=int(row["qk_head_dim"]),
        v_head_dim=int(row["v_head_dim"]),
        kv_values_per_layer=int(row["kv_values_per_layer"]),
        experts=int(row["experts"]),
        experts_per_token=int(row["experts_per_token"]),
        precision=_precision(row["precision"]),
        source=row["source"],
        windowed_layers=int(row["windowed_layers"]),
        window=int(row["window"]),
    )


def _precision(text: str) -> Precision:
    for precision in WEIGHT_BYTES:
        if text == precision:
            return precision
    raise ValueError(f"precision {text!r} is none of {', '.join(WEIGHT_BYTES)}")
