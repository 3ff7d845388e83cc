"""One sample of an engine or of a GPU: a row of engine_samples or gpu_samples (migrations 0100, 0101)."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

# ok; or why there are no figures: it did not answer, what it answered are no metrics, none of them are known,
# or a value of a known one is none (NaN, negative, beyond what a counter of this kind can be).
Status: TypeAlias = Literal["ok", "unreachable", "no_metrics", "unknown_metrics", "bad_value"]


@dataclass(frozen=True, slots=True)
class Place:
    """What the operator says of a target; empty and None where he does not."""

    target: str  # URL, or `nvml` for the GPUs of this machine
    server_address: str = ""  # as spans of its callers have it
    model: str = ""
    hardware: str = ""
    gpus: int | None = None  # of one replica
    region: str = ""
    workload: str = "serving"
    gpu_ids: tuple[str, ...] = ()  # the same as gpu_samples names them, or pod:NAME


@dataclass(frozen=True, slots=True)
class Values:
    """Figures by column; a column that the target does not tell is not among them."""

    by_column: dict[str, float] = field(default_factory=dict)

    def get(self, column: str) -> float | None:
        return self.by_column.get(column)


@dataclass(frozen=True, slots=True)
class EngineReading:
    """What one replica of an engine says at one time. Tokens and requests are counted since its start."""

    engine: str
    model: str
    values: Values


@dataclass(frozen=True, slots=True)
class GpuReading:
    """What one GPU says at one time, or one instance of a GPU that is divided (MIG)."""

    gpu: str  # UUID, and the instance where it is divided
    hardware: str
    host: str
    gpu_share: float  # of the GPU: 1, or slices / 7 of an instance
    values: Values
    pod: str = ""  # that holds it, as the exporter says


@dataclass(frozen=True, slots=True)
class Reading:
    """All that one answer of a target tells."""

    status: Status
    detail: str = ""
    engines: tuple[EngineReading, ...] = ()
    gpus: tuple[GpuReading, ...] = ()
