"""Serving points out of known rates, as objects and as a file of the form that aiconfigurator has."""

import csv
import io
import random
from dataclasses import dataclass

from fanlight_collectors.rates.points import ServingPoint
from fanlight_schema.gpu import catalogue, roofline
from fanlight_schema.gpu.features import work
from fanlight_schema.gpu.pricing import cost
from fanlight_schema.gpu.roofline import Rates

LENGTHS = [(512, 128), (1024, 1024), (2048, 256), (8192, 512)]
BATCHES = [1, 4, 16, 64]
SIZES = [1, 2, 4, 8]


@dataclass(frozen=True, slots=True)
class Truth:
    """An engine whose every speed is `slower` times the roofline's, `noise` a factor on each measurement."""

    slower: float = 1.7
    noise: float = 0.0


def rates(model: str, hardware: str, gpus: int, truth: Truth) -> Rates:
    found = roofline.rates(catalogue.models()[model], catalogue.hardware()[hardware], gpus, "bf16")
    scaled = {
        name: getattr(found, name) * truth.slower
        for name in ("r_u", "r_c", "r_o", "r_a", "r_k", "r_w", "x_u", "x_o", "t_s")
    }
    return Rates(
        gpus=gpus,
        r_n=0.0,
        dense_share=found.dense_share,
        expert_share=found.expert_share,
        **scaled,
    )


def points(
    model: str = "Llama-3.1-8B",
    hardware: str = "H100 SXM",
    truth: Truth | None = None,
    *,
    backend: str = "vllm",
    version: str = "1",
    seed: int = 0,
) -> list[ServingPoint]:
    """One point for each length, batch and size: 64."""
    truth = truth or Truth()
    rng = random.Random(seed)
    machine = {"H100 SXM": "h100_sxm", "H200 SXM": "h200_sxm"}[hardware]
    return [
        ServingPoint(
            model=model,
            hardware=hardware,
            machine=machine,
            backend=backend,
            version=version,
            precision="bf16",
            parallel="",
            gpus=gpus,
            input_tokens=prompt,
            output_tokens=output,
            batch=batch,
            gpu_seconds=cost(work(prompt, 0, output), rates(model, hardware, gpus, truth), batch)
            * rng.lognormvariate(0, truth.noise),
        )
        for prompt, output in LENGTHS
        for batch in BATCHES
        for gpus in SIZES
    ]


def silicon_csv(measured: list[ServingPoint], spelling: str) -> str:
    """The points as rows of silicon_sample.csv, all of a request's time as TPOT."""
    rows = [
        {
            "model_path": spelling,
            "system": point.machine,
            "backend": point.backend,
            "backend_version": point.version,
            "precision": point.precision,
            "mode": "agg",
            "isl": point.input_tokens,
            "osl": point.output_tokens,
            "batch_size": point.batch,
            "tp_size": point.gpus,
            "silicon_ttft_ms": 1.0,
            "silicon_tpot_ms": (point.gpu_seconds * point.batch / point.gpus * 1000 - 1.0)
            / (point.output_tokens - 1),
        }
        for point in measured
    ]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
