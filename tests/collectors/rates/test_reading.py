"""Files of serving points: what a row means, what is put right, what is left out and counted."""

from pathlib import Path

import pytest

from fanlight_collectors.rates.reading import UnreadablePoints, read_points

SILICON = (
    "model_path,system,backend,backend_version,precision,gemm_quant_mode,mode,isl,osl,batch_size,tp_size,pp_size,"
    "attention_dp_size,moe_tp_size,moe_ep_size,silicon_data_source,silicon_ttft_ms,silicon_tpot_ms"
)
PLAIN = "meta-llama/Llama-3.1-8B-Instruct,h100_sxm,vllm,0.18.0,fp8,fp8,agg,1024,101,8,2,1,,,,,100,10"


def read(tmp_path: Path, *rows: str, header: str = SILICON):
    file = tmp_path / "points.csv"
    file.write_text("\n".join((header, *rows)) + "\n")
    return read_points(file)


def test_gpu_seconds_of_a_request_are_its_time_times_the_gpus_over_the_concurrency(tmp_path: Path) -> None:
    (point,) = read(tmp_path, PLAIN).points
    # 0.1 s and 100 further tokens of 10 ms, on 2 GPUs that 8 requests share
    assert point.gpu_seconds == pytest.approx((0.1 + 100 * 0.010) * 2 / 8)
    assert (point.model, point.hardware, point.precision) == ("Llama-3.1-8B", "H100 SXM", "fp8")


def test_concurrency_of_the_whole_replica_goes_before_the_batch_of_a_rank(tmp_path: Path) -> None:
    (point,) = read(tmp_path, PLAIN.replace(",,,,,100", ",,,,c=1; silicon_concurrency=32; x,100")).points
    assert point.batch == 32


@pytest.mark.parametrize(
    ("tensor", "data", "moe_tensor", "expert", "gpus", "put_right"),
    [
        (16, 1, 4, 4, 4, 1),  # 16 was 4 x 4
        (64, 1, 8, 8, 8, 1),
        (4, 4, 4, 4, 4, 1),
        (4, 2, 1, 1, 4, 0),  # attention over data within the tensor group
        (1, 8, 1, 8, 8, 0),
        (2, 1, 2, 1, 2, 0),
        (8, "", "", "", 8, 0),
        (1, 0, 0, 0, 1, 0),
    ],
)
def test_gpus_of_a_replica(
    tmp_path: Path, tensor: int, data: object, moe_tensor: object, expert: object, gpus: int, put_right: int
) -> None:
    row = PLAIN.replace("8,2,1,,,,,", f"8,{tensor},1,{data},{moe_tensor},{expert},,")
    reading = read(tmp_path, row)
    assert (reading.points[0].gpus, reading.gpus_put_right) == (gpus, put_right)


def test_the_same_latencies_count_once_whatever_the_copy_is_called_and_however_many_gpus_it_lists(
    tmp_path: Path,
) -> None:
    plain = PLAIN.replace("8,2,1,,,,,", "8,16,1,,,,,")
    r1 = plain.replace("meta-llama/Llama-3.1-8B-Instruct", "deepseek-ai/DeepSeek-R1")
    v3 = plain.replace("meta-llama/Llama-3.1-8B-Instruct", "deepseek-ai/DeepSeek-V3")
    twin = v3.replace("8,16,1,,,,,", "8,256,1,1,16,16,,")  # tp x ep of 16 GPUs
    reading = read(tmp_path, r1, v3, twin, r1.replace(",100,10", ",100,11"))
    assert (len(reading.points), reading.repeats) == (2, 2)


@pytest.mark.parametrize(
    ("name", "precision", "expected"),
    [
        ("nvidia/DeepSeek-R1-NVFP4", ",nvfp4", ("DeepSeek-V3", "fp4")),
        ("Qwen/Qwen3-235B-A22B-FP8", ",", ("Qwen3-235B-A22B", "fp8")),
        ("Qwen/Qwen3-32B", ",", ("Qwen3-32B", "bf16")),
        ("moonshotai/Kimi-K2.5", ",int4_wo", ("Kimi-K2.5", "int4")),
    ],
)
def test_copies_in_another_number_format_are_the_same_model(
    tmp_path: Path, name: str, precision: str, expected: tuple[str, str]
) -> None:
    large = PLAIN.replace("8,2,1,,,,,", "8,16,1,,,,,")
    row = large.replace("meta-llama/Llama-3.1-8B-Instruct", name).replace("fp8,fp8", precision)
    (point,) = read(tmp_path, row).points
    assert (point.model, point.precision) == expected


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (("agg", "disagg"), "separate replicas"),
        (("h100_sxm", "abacus"), "hardware 'abacus' is not in the catalogue"),
        (
            ("meta-llama/Llama-3.1-8B-Instruct", "acme/secret-1"),
            "model 'acme/secret-1' is not in the catalogue",
        ),
        ((",100,10", ",nan,10"), "silicon_ttft_ms is not a time: 'nan'"),
        ((",100,10", ",100,-1"), "silicon_tpot_ms is not a time: '-1'"),
        ((",100,10", ",100,"), "silicon_tpot_ms is not a time: ''"),
        ((",100,10", ",0.1,0.01"), "far below what the hardware can do: are they in seconds?"),
        ((",100,10", ",100000,10000"), "far above what the hardware takes: are they in microseconds?"),
        (
            ("Llama-3.1-8B-Instruct", "Llama-3.1-405B-Instruct"),
            "Llama-3.1-405B in fp8 does not fit: 406 GB on 2 H100 SXM",
        ),
        (("1024,101", "1024,0"), "osl is not a count of 1 or more: '0'"),
        (("1024,101", "12.5,101"), "isl is not a count of 1 or more: '12.5'"),
    ],
)
def test_a_row_that_is_no_point_is_left_out_with_its_reason_and_the_others_stay(
    tmp_path: Path, wrong: tuple[str, str], why: str
) -> None:
    reading = read(tmp_path, PLAIN.replace(*wrong), PLAIN)
    assert len(reading.points) == 1
    ((said, rows),) = reading.left_out.items()
    assert why in said
    assert rows == 1


def test_a_static_batch_of_splitwise(tmp_path: Path) -> None:
    header = (
        "model,hardware,prompt_size,batch_size,token_size,prompt_time,token_time,e2e_time,tensor_parallel"
    )
    (point,) = read(tmp_path, "llama2-70b,a100-80gb,512,4,129,200,50,7168,8", header=header).points
    assert point.gpu_seconds == pytest.approx((0.2 + 128 * 0.05) * 8 / 4)
    assert (point.model, point.hardware, point.batch) == ("Llama-2-70B", "A100 SXM 80GB", 4)


def test_a_file_in_no_known_form_says_what_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UnreadablePoints, match=r"silicon_ttft_ms.*prompt_time"):
        read(tmp_path, "1,2", header="a,b")
    with pytest.raises(UnreadablePoints, match="cannot be read"):
        read_points(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(UnreadablePoints, match="cannot be read"):
        read_points(tmp_path / "binary.csv")
