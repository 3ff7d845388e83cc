"""Rates of GPU-seconds from a model's architecture and a GPU's data sheet: method `modelled`.

Every rate is work over the speed that an engine reaches, which is the data sheet's times an efficiency: MFU
for arithmetic, MBU for memory. Rates are in GPU-seconds summed over the GPUs of a replica, so splitting a
model over more GPUs changes only communication and step overhead.

>>> from fanlight_schema.gpu import catalogue
>>> h100, llama = catalogue.hardware()["H100 SXM"], catalogue.models()["Llama-3.1-8B"]
>>> round(rates(llama, h100, gpus=1, precision="bf16").r_w * 1e3, 2)  # milliseconds to read all weights once
7.99
"""

import math
from dataclasses import dataclass, replace

from .catalogue import REFERENCE_GPU, WEIGHT_BYTES, Hardware, Model, Precision, hardware

# On 2,390 measured serving points of nine of the models (ai-dynamo/aiconfigurator silicon_sample.csv, batch
# and GPUs known) these rates are off by 17 % (median) and 50 % (90th percentile); the ranges cover 95 %.
MFU, MFU_RANGE = 0.40, (0.20, 0.65)
MBU, MBU_RANGE = 0.60, (0.35, 0.85)
LINK_EFFICIENCY = 0.7  # share of the one-way link speed that an all-reduce reaches; assumed
STEP_OVERHEAD_S_PER_LAYER = 95e-6  # middle of the 65 to 125 us fitted on the same points
KV_BYTES = 2  # per cached number: engines keep the cache in bf16 unless told otherwise
MEMORY_SHARE = 0.9  # vLLM's default gpu_memory_utilization
CONTEXT_TOKENS = 4096  # of a request, where a replica's size is worked out
LEAST_BATCH = 32  # requests of that length that a replica must hold

TOO_LARGE, CROWDED, FITS = "does not fit", "fits fewer requests than a batch", "fits"

LOW_FACTOR = min(MFU / MFU_RANGE[1], MBU / MBU_RANGE[1])
HIGH_FACTOR = max(MFU / MFU_RANGE[0], MBU / MBU_RANGE[0])


@dataclass(frozen=True, slots=True)
class Rates:
    """GPU-seconds per unit of work (r), and seconds on each of the replica's `gpus` (x, t)."""

    gpus: int
    r_n: float  # GPU-s per request
    r_u: float  # GPU-s per uncached input token
    r_c: float  # GPU-s per cached input token
    r_o: float  # GPU-s per output token
    r_a: float  # GPU-s per token pair
    r_k: float  # GPU-s per token-step
    r_w: float  # GPU-s per pass over all weights
    x_u: float  # s per uncached input token
    x_o: float  # s per output token
    t_s: float  # s per engine step
    dense_share: float = 1.0
    expert_share: float = 1.0

    def weights_read(self, batch: float) -> float:
        """f(B): the share of the weights that a step of `batch` tokens reads; 1 for a dense model."""
        untouched = math.pow(1 - self.expert_share, batch)
        return self.dense_share + (1 - self.dense_share) * (1 - untouched)

    def per_output_token(self, batch: float) -> float:
        """GPU-s per output token when `batch` requests decode at once, steps and weights included."""
        shared = self.r_w * self.weights_read(batch) + self.gpus * self.t_s
        return self.r_o + self.gpus * self.x_o + shared / batch


@dataclass(frozen=True, slots=True)
class Replica:
    """How an engine runs a model: number formats, how it is cut over GPUs, and how a step decodes.

    Expert parallelism shares the GPUs of the replica, so it does not add to them. `drafted` tokens are
    checked beside the one of each request in a decode step, which yields `accepted` in all, 1 to drafted + 1.
    """

    precision: Precision
    tensor: int = 1
    pipeline: int = 1
    expert: int = 1
    kv_bytes: float = KV_BYTES  # per cached number: 1 in fp8
    drafted: float = 0.0
    accepted: float = 1.0

    def __post_init__(self) -> None:
        if min(self.tensor, self.pipeline, self.expert) < 1 or self.expert > self.gpus or self.kv_bytes <= 0:
            raise ValueError(f"no replica is cut like this: {self}")
        if not 1 <= self.accepted <= self.drafted + 1:
            raise ValueError(f"accepted is not from 1 to drafted + 1: {self}")

    @property
    def gpus(self) -> int:
        return self.tensor * self.pipeline


def rates(model: Model, gpu: Hardware, gpus: int, precision: Precision) -> Rates:
    """The rates of a model that is split by tensors over `gpus` GPUs, decoding one token a step."""
    return replica_rates(model, gpu, Replica(precision, tensor=gpus))


def replica_rates(model: Model, gpu: Hardware, replica: Replica) -> Rates:
    """The rates of a model on a replica.

    2 FLOP per active parameter and token; attention 2 FLOP per pair, head and dimension for scores and for
    values; a decode step reads the weights and each cached number once, whatever it yields; communication as
    `_link_s` says. The stages of a pipeline work on different batches at once, so each spends its own layers'
    overhead on a step. Draft models are not in it: they are a model of their own.
    """
    memory = gpu.bandwidth * MBU
    token = 2 * model.active_parameters / (gpu.flops(replica.precision) * MFU)
    kv_read = kv_bytes(model, replica.kv_bytes) / memory
    communication = _link_s(model, gpu, replica)
    computed = (replica.drafted + 1) / replica.accepted  # tokens for each that is put out
    return Rates(
        gpus=replica.gpus,
        r_n=0.0,  # what a request adds to a step beyond its tokens is in t_s
        r_u=token,
        r_c=kv_read,  # prefill reads it once
        r_o=token * computed,
        # attention is computed in bf16 whatever the weights are
        r_a=model.full_attention_layers * _pair_flops(model) / (gpu.bf16_flops * MFU),
        r_k=kv_read / replica.accepted,
        r_w=weight_bytes(model, replica.precision) / memory / replica.accepted,
        x_u=communication,
        x_o=communication * computed,
        t_s=STEP_OVERHEAD_S_PER_LAYER * model.layers / replica.pipeline / replica.accepted,
        dense_share=model.dense_share,
        expert_share=1 - math.pow(1 - model.expert_share, replica.drafted + 1),
    )


def with_windows(found: Rates, model: Model, gpu: Hardware, layers: int, window: int) -> Rates:
    """The rates with `layers` more that attend to, and cache, the last `window` tokens.

    Each token is charged `window` tokens, in prefill and in each decode step: exact beyond the window, and an
    upper bound below it. The lower bound is `found` itself.
    """
    pairs, reads = layers * window, layers * window * model.kv_values_per_layer * KV_BYTES
    return replace(
        found,
        r_u=found.r_u + pairs * _pair_flops(model) / (gpu.bf16_flops * MFU),
        r_o=found.r_o + reads / (gpu.bandwidth * MBU),
    )


def weight_bytes(model: Model, precision: Precision) -> float:
    return model.parameters * WEIGHT_BYTES[precision]


def kv_bytes(model: Model, of_each: float = KV_BYTES) -> float:
    """Bytes that the cache keeps of one token, in the layers that keep all of them."""
    return float(model.full_attention_layers * model.kv_values_per_layer * of_each)


def largest_batch(
    model: Model,
    gpu: Hardware,
    gpus: int,
    precision: Precision,
    *,
    context: float = CONTEXT_TOKENS,
    kv_of_each: float = KV_BYTES,
) -> int:
    """Requests of `context` tokens that fit beside the weights, 0 if the weights alone do not."""
    free = MEMORY_SHARE * gpus * gpu.memory - weight_bytes(model, precision)
    return max(0, int(free // (kv_bytes(model, kv_of_each) * context)))


def fit_status(
    model: Model, gpu: Hardware, gpus: int, precision: Precision, *, batch: float, context: float
) -> str:
    """Whether a batch of requests of `context` tokens has room: TOO_LARGE, CROWDED or FITS.

    Rates of what is TOO_LARGE mean nothing; what is CROWDED decodes fewer requests at once than `batch`.
    """
    if weight_bytes(model, precision) > MEMORY_SHARE * gpus * gpu.memory:
        return TOO_LARGE
    return FITS if batch <= largest_batch(model, gpu, gpus, precision, context=context) else CROWDED


def replica_gpus(model: Model, gpu: Hardware, precision: Precision) -> int:
    """The smallest power of two of GPUs that hold the weights and LEAST_BATCH requests."""
    gpus = 1
    while largest_batch(model, gpu, gpus, precision) < LEAST_BATCH:
        gpus *= 2
    return gpus


def reference_factor(gpu: Hardware) -> float:
    """Seconds of the reference GPU that one of `gpu` is worth.

    The geometric mean of the ratios of arithmetic and of memory: prefill is bound by the one and decode by
    the other, so neither ratio alone would do.
    """
    reference = hardware()[REFERENCE_GPU]
    return math.sqrt((gpu.bf16_flops / reference.bf16_flops) * (gpu.bandwidth / reference.bandwidth))


def _pair_flops(model: Model) -> int:
    """FLOP of one layer's attention for one token pair."""
    return 2 * model.heads * (model.qk_head_dim + model.v_head_dim)


def _link_s(model: Model, gpu: Hardware, replica: Replica) -> float:
    """Seconds that a token keeps each GPU's link busy.

    A ring all-reduce after attention and after the MLP of each layer of a stage moves 2 (T - 1) / T of the
    data. Experts that are spread over E GPUs take the place of the second: the token goes to those that it is
    routed to and comes back, (E - 1) / E of it over the link, shared by the E GPUs' links. A stage hands each
    token to the next, all but the last.
    """
    values = model.hidden * WEIGHT_BYTES["bf16"]
    tensor, experts, stages = replica.tensor, replica.expert, replica.pipeline
    reduced = values * 2 * (tensor - 1) / tensor
    routed = values * 2 * model.experts_per_token * (experts - 1) / experts / experts
    in_layers = model.layers / stages * (reduced + (routed if experts > 1 else reduced))
    return (in_layers + values * (stages - 1) / stages) / (gpu.link * LINK_EFFICIENCY)
