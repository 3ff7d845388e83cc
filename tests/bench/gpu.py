"""The work model against a GPU: a decoder of Llama-3.1-8B's shape, random weights, timed by CUDA events.

    python tests/bench/gpu.py [--repeats 5] [--hardware NAME] [--results tests/bench/results]
    python tests/bench/gpu.py --device cpu      the same program on a tiny shape; writes no results

Needs a PyTorch with CUDA beside fanlight[collector] in one environment, and is skipped, with the reason,
where it is missing. Measured points go to a CSV that `fanlight rates calibrate` reads, and what they
say to a text beside it. It ends with 1 where calibrated rates are further off than asked, or time gets lost.
"""

import argparse
import datetime
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import gpu_measure
import gpu_verdict
import report
from gpu_measure import Plan, Timing
from gpu_shape import LLAMA_8B, TINY, Shape, chip_name, stand_in

RESULTS = Path(__file__).resolve().parent / "results"
TRIAL = Plan(batches=(1, 2, 4, 8), prompts=(16, 32, 64, 128), output=9, repeats=3)


def main() -> int:
    given = arguments()
    try:
        import torch
    except ImportError:
        print(f"skipped: {sys.executable} has no PyTorch; make bench-gpu TORCH_PYTHON=... names one that has")
        return 0
    if given.device == "cpu":
        print("a trial of the program on a CPU: its figures say nothing of any GPU and are not kept")
        torch.set_num_threads(1)
        model, machine = stand_in()
        timings = run(TINY, "cpu", TRIAL, gpu_measure.clock_timer, 8e9)
        verdict(timings, model.name, machine.name, "CPU", None)
        return 0
    if not torch.cuda.is_available():
        print("skipped: PyTorch finds no CUDA GPU here (--device cpu tries the program without one)")
        return 0
    chip = torch.cuda.get_device_name()
    hardware = given.hardware or chip_name(chip)
    if hardware is None:
        print(f"skipped: {chip} is not in the catalogue; --hardware names the row that it is")
        return 0
    free, _ = torch.cuda.mem_get_info()
    if free * gpu_measure.MEMORY_SHARE < 2.2 * LLAMA_8B.parameters:
        print(f"skipped: {free / 1e9:.0f} GB of {chip} are free, too few for 16 GB of weights and a cache")
        return 0
    print(f"{chip} as {hardware}, PyTorch {torch.__version__}, CUDA {torch.version.cuda}")
    timings = run(LLAMA_8B, "cuda", Plan(repeats=given.repeats), gpu_measure.cuda_timer(), free)
    return verdict(timings, "Llama-3.1-8B", hardware, f"{chip}, PyTorch {torch.__version__}", given.results)


def run(shape: Shape, device: str, plan: Plan, timed: gpu_measure.Timer, free: float) -> list[Timing]:
    decoder = gpu_measure.make_decoder(shape, device, plan)
    timings = []
    for one in gpu_measure.measure(decoder, shape, plan, timed, free, print):
        timings.append(one)
        print(f"{one.batch} x {one.prompt}: prefill {one.prefill_ms[1]:.2f} ms, step {one.step_ms[1]:.3f} ms")
    return timings


def verdict(timings: Sequence[Timing], model: str, hardware: str, chip: str, results: Path | None) -> int:
    """Prints what was found, keeps it if there is a folder for results; 0 if it is as asked."""
    points = gpu_verdict.points_csv(timings, model, hardware)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "points.csv"
        file.write_text(points)
        lines = gpu_verdict.left_out(file)
    lost = gpu_verdict.unshared_ns(timings, model, hardware)
    against = gpu_verdict.against_chip(timings, model, hardware)
    today = datetime.datetime.now(datetime.timezone.utc).date()
    text = "\n\n".join(
        (
            f"{today}, {chip}; {model} in bf16, random weights; {len(timings)} settings",
            report.table(
                ("batch", "prompt", "prefill ms (q1-q3)", "step ms (q1-q3)"), [_row(one) for one in timings]
            ),
            report.table(
                ("calibrated without", "median error", "asked", "p90", "one TPOT", "no batch"),
                [
                    (
                        line.split,
                        f"{line.median:.1%}",
                        f"{gpu_verdict.ASKED:.0%}",
                        f"{line.p90:.1%}",
                        *(f"{error:.0%}" for error in line.baselines.values()),
                    )
                    for line in lines
                ],
            ),
            report.table(
                ("batch", "prompt", "MFU of prefill", "MBU of decode", "modelled/measured prefill", "decode"),
                [
                    (
                        one.batch,
                        one.prompt,
                        f"{one.mfu:.2f}",
                        f"{one.mbu:.2f}",
                        f"{one.prefill_ratio:.2f}",
                        f"{one.decode_ratio:.2f}",
                    )
                    for one in against
                ],
            ),
            f"attributed + unattributed - busy: {lost} ns",
        )
    )
    print(text)
    if lost:
        raise AssertionError(f"{lost} ns of busy time were lost or made")
    if results is not None:
        results.mkdir(parents=True, exist_ok=True)
        name = f"gpu-{hardware.lower().replace(' ', '-')}-{today}"
        (results / f"{name}.csv").write_text(points)
        (results / f"{name}.txt").write_text(text + "\n")
        print(f"written: {results / name}.csv and .txt")
    return int(any(line.median > gpu_verdict.ASKED for line in lines))


def _row(one: Timing) -> tuple[object, ...]:
    (low, prefill, high), (step_low, step, step_high) = one.prefill_ms, one.step_ms
    return (
        one.batch,
        one.prompt,
        f"{prefill:.2f} ({low:.2f}-{high:.2f})",
        f"{step:.3f} ({step_low:.3f}-{step_high:.3f})",
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--hardware", help="the catalogue's name of this GPU")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
