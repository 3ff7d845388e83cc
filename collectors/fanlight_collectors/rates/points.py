"""What was measured of an engine at one load: a serving point, in fanlight's own words."""

from dataclasses import dataclass

from fanlight_schema.gpu.catalogue import Precision


@dataclass(frozen=True, slots=True)
class ServingPoint:
    """Requests of one length, `batch` of them always under way on one replica.

    `gpu_seconds` is what one request takes: the time that it was there, times the GPUs, over the requests
    that shared them (Little's law). It is allocated time of an engine that is never idle.
    """

    model: str  # of the catalogue
    hardware: str  # of the catalogue; several names may stand for it, see `machine`
    machine: str  # as the file calls it: a power-capped GPU is another machine
    backend: str
    version: str
    precision: Precision
    parallel: str  # how the replica is cut, for example tp4ep4; what else than `gpus` tells replicas apart
    gpus: int
    input_tokens: int
    output_tokens: int
    batch: int
    gpu_seconds: float

    @property
    def group(self) -> tuple[str, str, str, str]:
        """Points that share rates: model, machine, backend, precision."""
        return (self.model, self.machine, self.backend, self.precision)

    @property
    def setting(self) -> tuple[object, ...]:
        """The configuration that was measured: two points that agree in it are repeats of one measurement."""
        return (
            *self.group,
            self.version,
            self.parallel,
            self.gpus,
            self.input_tokens,
            self.output_tokens,
            self.batch,
        )
