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
from dataclasses import dataclass

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


def rates(model: Model, gpu: Hardware, gpus: int, precision: Precision) -> Rates:
    """The rates of a model on a replica of `gpus` GPUs.

    2 FLOP per active parameter and token; attention 2 FLOP per pair, head and dimension for scores and for
    values; a decode step reads each cached number once; an all-reduce after attention and after the MLP of
    each layer.
    """
    arithmetic = gpu.flops(precision) * MFU
    memory = gpu.bandwidth * MBU
    per_pair = 2 * model.full_attention_layers * model.heads * (model.qk_head_dim + model.v_head_dim)
    token = 2 * model.active_parameters / arithmetic
    kv_read = kv_bytes(model) / memory
    communication = _all_reduce_s(model, gpu, gpus)
    return Rates(
        gpus=gpus,
        r_n=0.0,  # what a request adds to a step beyond its tokens is in t_s
        r_u=token,
        r_c=kv_read,  # prefill reads it once
        r_o=token,
        r_a=per_pair / (gpu.bf16_flops * MFU),  # attention is computed in bf16 whatever the weights are
        r_k=kv_read,
        r_w=weight_bytes(model, precision) / memory,
        x_u=communication,
        x_o=communication,
        t_s=STEP_OVERHEAD_S_PER_LAYER * model.layers,
        dense_share=model.dense_share,
        expert_share=model.expert_share,
    )


def weight_bytes(model: Model, precision: Precision) -> float:
    return model.parameters * WEIGHT_BYTES[precision]


def kv_bytes(model: Model) -> float:
    """Bytes that the cache keeps of one token, in the layers that keep all of them."""
    return float(model.full_attention_layers * model.kv_values_per_layer * KV_BYTES)


def largest_batch(model: Model, gpu: Hardware, gpus: int, precision: Precision) -> int:
    """Requests of CONTEXT_TOKENS that fit beside the weights, 0 if the weights alone do not."""
    free = MEMORY_SHARE * gpus * gpu.memory - weight_bytes(model, precision)
    return max(0, int(free // (kv_bytes(model) * CONTEXT_TOKENS)))


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


def _all_reduce_s(model: Model, gpu: Hardware, gpus: int) -> float:
    """Seconds a token keeps each link busy: a ring all-reduce moves 2 (G - 1) / G of the data."""
    data = 2 * model.layers * model.hidden * WEIGHT_BYTES["bf16"]
    return data * 2 * (gpus - 1) / gpus / (gpu.link * LINK_EFFICIENCY)
