"""Times a decoder at several batches and prompts: prefill and decode apart, repeated, after a warm-up."""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from gpu_shape import Shape

MEMORY_SHARE = 0.85  # of what is free, for weights and cache; the rest is for what a forward pass keeps


class Runs(Protocol):
    """What is timed; gpu_decoder.Decoder is one."""

    def resize(self, batch: int, context: int) -> None: ...
    def prefill(self, tokens: int) -> None: ...
    def step(self) -> None: ...


Timer = Callable[[Callable[[], None]], float]  # milliseconds that the device was busy with it


@dataclass(frozen=True, slots=True)
class Plan:
    batches: tuple[int, ...] = (1, 2, 4, 16, 64)
    prompts: tuple[int, ...] = (256, 1024, 2048, 4096)
    output: int = 65  # tokens; the first comes with the prefill
    repeats: int = 5  # after one that is not counted


@dataclass(frozen=True, slots=True)
class Timing:
    """One setting. Milliseconds: of the whole batch's prefill, and of one decode step, as quartiles."""

    batch: int
    prompt: int
    output: int
    prefill_ms: tuple[float, float, float]
    step_ms: tuple[float, float, float]


def cuda_timer() -> Timer:
    """Between two CUDA events."""
    import torch

    def timed(work: Callable[[], None]) -> float:
        begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        begun.record()
        work()
        ended.record()
        torch.cuda.synchronize()
        return float(begun.elapsed_time(ended))

    return timed


def clock_timer(work: Callable[[], None]) -> float:
    """For a device that works when it is called."""
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def measure(
    decoder: Runs, shape: Shape, plan: Plan, timed: Timer, free_bytes: float, tell: Callable[[str], None]
) -> Iterator[Timing]:
    """Every setting that has room, the largest batch last; what has none is told."""
    room = free_bytes * MEMORY_SHARE - 2 * shape.parameters
    for batch in sorted(plan.batches):
        for prompt in sorted(plan.prompts):
            needed = batch * (prompt + plan.output) * shape.kv_bytes
            if needed > room:
                tell(f"{batch} x {prompt}: left out, a cache of {needed / 1e9:.0f} GB has no room")
                continue
            yield _setting(decoder, batch, prompt, plan, timed)


def _setting(decoder: Runs, batch: int, prompt: int, plan: Plan, timed: Timer) -> Timing:
    def decode() -> None:
        for _ in range(plan.output - 1):
            decoder.step()

    decoder.resize(batch, prompt + plan.output)
    prefills, steps = [], []
    for turn in range(plan.repeats + 1):
        prefill, decoded = timed(lambda: decoder.prefill(prompt)), timed(decode)
        if turn:
            prefills.append(prefill)
            steps.append(decoded / (plan.output - 1))
    return Timing(batch, prompt, plan.output, _quartiles(prefills), _quartiles(steps))


def _quartiles(taken: list[float]) -> tuple[float, float, float]:
    if len(taken) == 1:
        return taken[0], taken[0], taken[0]
    low, middle, high = statistics.quantiles(taken, n=4, method="inclusive")
    return low, middle, high


def make_decoder(shape: Shape, device: str, plan: Plan) -> Any:
    """A decoder in bf16 on a GPU, in float32 on a CPU, which is slow at 16 bits."""
    import torch
    from gpu_decoder import Decoder

    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    return Decoder(shape, device, dtype, 1, min(plan.prompts) + plan.output)
