"""What the measured points say of the work model: the same reading and fit as `fanlight rates calibrate`."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gpu_measure import Timing

from fanlight_collectors.rates import evaluation
from fanlight_collectors.rates.reading import read_points
from fanlight_collectors.rates.splits import Split
from fanlight_collectors.rates.summary import Line, summarise
from fanlight_schema.gpu import catalogue, roofline
from fanlight_schema.gpu.features import work
from fanlight_schema.gpu.pricing import cost
from fanlight_schema.gpu.sharing import share_ns

ASKED = 0.10  # median error at batches and lengths that were left out
LEFT_OUT: tuple[Split, ...] = ("batch left out", "lengths left out")
COLUMNS = (  # the first eight are Splitwise's, which `rates calibrate` reads
    "model",
    "hardware",
    "prompt_size",
    "batch_size",
    "token_size",
    "tensor_parallel",
    "prompt_time",
    "token_time",
    "prompt_time_q1",
    "prompt_time_q3",
    "token_time_q1",
    "token_time_q3",
)


@dataclass(frozen=True, slots=True)
class AgainstChip:
    """One setting beside the data sheet: shares of its peaks that were reached, and the roofline's ratios."""

    batch: int
    prompt: int
    mfu: float  # of prefill
    mbu: float  # of decode: weights and cache over the time
    prefill_ratio: float  # modelled over measured
    decode_ratio: float


def points_csv(timings: Sequence[Timing], model: str, hardware: str) -> str:
    """The timings as a file that `fanlight rates calibrate` reads, milliseconds, with quartiles beside."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in timings:
        (low, prefill, high), (step_low, step, step_high) = one.prefill_ms, one.step_ms
        setting = (model, hardware, one.prompt, one.batch, one.output, 1)
        writer.writerow((*setting, prefill, step, low, high, step_low, step_high))
    return buffer.getvalue()


def left_out(points: Path) -> list[Line]:
    """Errors of rates fitted without a batch, and without a length. Raises ValueError on too few."""
    found = evaluation.groups(read_points(points).points)
    return [summarise(split, evaluation.judge(found, split)) for split in LEFT_OUT]


def against_chip(timings: Sequence[Timing], model: str, hardware: str) -> list[AgainstChip]:
    """Each setting against the sheet of its hardware and the modelled rates."""
    shape, gpu = catalogue.models()[model], catalogue.hardware()[hardware]
    rates = roofline.rates(shape, gpu, 1, "bf16")
    pair_flops = rates.r_a * gpu.bf16_flops * roofline.MFU
    found = []
    for one in timings:
        prefill, decode = work(one.prompt, 0, 0), work(one.prompt, one.prompt, one.output - 1)
        prefill_s, step_s = one.prefill_ms[1] / 1000, one.step_ms[1] / 1000
        flops = one.batch * (2 * shape.active_parameters * prefill.u + pair_flops * prefill.a)
        cached = one.batch * (one.prompt + (one.output - 1) / 2)
        moved = roofline.weight_bytes(shape, "bf16") + roofline.kv_bytes(shape) * cached
        modelled_prefill = rates.r_u * prefill.u + rates.r_a * prefill.a
        modelled_decode = rates.per_output_token(one.batch) * decode.o + rates.r_k * decode.k
        found.append(
            AgainstChip(
                one.batch,
                one.prompt,
                mfu=flops / prefill_s / gpu.bf16_flops,
                mbu=moved / step_s / gpu.bandwidth,
                prefill_ratio=one.batch * modelled_prefill / prefill_s,
                decode_ratio=one.batch * modelled_decode / (step_s * (one.output - 1)),
            )
        )
    return found


def unshared_ns(timings: Sequence[Timing], model: str, hardware: str) -> int:
    """Nanoseconds that are lost or made where each setting's time is shared over unequal requests: 0.

    The requests of a batch are taken to have been cut at different lengths; a third of the work is others'.
    """
    rates = roofline.rates(catalogue.models()[model], catalogue.hardware()[hardware], 1, "bf16")
    wrong = 0
    for one in timings:
        busy = round((one.prefill_ms[1] + (one.output - 1) * one.step_ms[1]) * 1e6)
        asked = [work(one.prompt, turn % one.prompt, 1 + turn % one.output) for turn in range(one.batch)]
        costs = [cost(each, rates, one.batch) for each in asked]
        shares = share_ns(busy, costs, total=1.5 * sum(costs))
        wrong += abs(sum(shares.attributed_ns) + shares.unattributed_ns - busy)
        wrong += sum(part < 0 for part in (*shares.attributed_ns, shares.unattributed_ns))
    return wrong
