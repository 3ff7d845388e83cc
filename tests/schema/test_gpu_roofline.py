"""The catalogue and the roofline; expected numbers are computed by hand from data sheets and config.json."""

import math
import re

import pytest

from fanlight_schema.gpu import catalogue, roofline, seeds
from fanlight_schema.gpu.features import Work
from fanlight_schema.gpu.pricing import cost

H100 = catalogue.hardware()["H100 SXM"]
LLAMA_70B = catalogue.models()["Llama-3.1-70B"]
MOE = catalogue.models()["Qwen3-30B-A3B"]


def test_llama_70b_on_four_h100() -> None:
    rates = roofline.rates(LLAMA_70B, H100, 4, "bf16")
    assert rates.r_u == pytest.approx(2 * 70.6e9 / (989e12 * 0.4))  # 357 us a token
    assert rates.r_w == pytest.approx(141.2e9 / (3.35e12 * 0.6))  # 70 ms a pass
    assert rates.r_k == pytest.approx(327_680 / (3.35e12 * 0.6))  # 327,680 bytes a token (notes: Llama-70B)
    assert rates.r_a == pytest.approx(4 * 80 * 64 * 128 / (989e12 * 0.4))
    # two all-reduces of 8192 bf16 values in 80 layers, 1.5 times over a link of 450 GB/s at 70 %
    assert rates.x_u == rates.x_o == pytest.approx(2 * 80 * 8192 * 2 * 1.5 / (450e9 * 0.7))
    assert rates.t_s == pytest.approx(80 * 95e-6)


def test_one_gpu_has_no_communication_and_fp8_halves_weights_and_arithmetic() -> None:
    bf16, fp8 = (roofline.rates(LLAMA_70B, H100, 1, p) for p in ("bf16", "fp8"))
    assert bf16.x_u == 0
    assert (fp8.r_u, fp8.r_w) == pytest.approx((bf16.r_u / 2, bf16.r_w / 2))
    assert fp8.r_k == bf16.r_k


def test_a_gpu_without_a_number_format_computes_in_a_wider_one() -> None:
    a100, b200 = catalogue.hardware()["A100 SXM 80GB"], catalogue.hardware()["B200 SXM"]
    assert a100.flops("fp8") == a100.flops("bf16") == 312e12
    assert (H100.flops("fp4"), b200.flops("fp4")) == (989e12, 9000e12)


def test_dense_weights_of_a_mixture_add_up_to_its_active_parameters() -> None:
    for model in catalogue.models().values():
        dense = model.dense_share * model.parameters
        assert dense + (model.parameters - dense) * model.expert_share == pytest.approx(
            model.active_parameters
        )
        assert 0 < model.dense_share <= 1, model.name


def test_a_step_reads_the_active_experts_for_one_token_and_all_for_many() -> None:
    rates = roofline.rates(MOE, H100, 1, "bf16")
    assert rates.weights_read(1) == pytest.approx(3.3 / 30.5)
    assert rates.weights_read(10_000) == pytest.approx(1)
    assert roofline.rates(LLAMA_70B, H100, 4, "bf16").weights_read(17) == 1


def test_a_larger_batch_makes_an_output_token_cheaper() -> None:
    for model in catalogue.models().values():
        rates = roofline.rates(model, H100, 8, model.precision)
        prices = [rates.per_output_token(batch) for batch in (1, 2, 4, 16, 64, 256, 1024)]
        assert prices == sorted(prices, reverse=True), model.name


def test_price_is_additive_and_monotone() -> None:
    rates = roofline.rates(MOE, H100, 2, "bf16")
    one, two = Work(1, 100, 50, 10, 5e3, 1e3), Work(2, 0, 300, 900, 0, 2e6)
    assert cost(one + two, rates, 8) == pytest.approx(cost(one, rates, 8) + cost(two, rates, 8))
    for name in ("u", "c", "o", "a", "k"):
        assert cost(Work(**{name: 1.0}), rates, 8) > 0, name


def test_a_replica_is_the_fewest_gpus_that_hold_weights_and_requests() -> None:
    sizes = {name: roofline.replica_gpus(m, H100, m.precision) for name, m in catalogue.models().items()}
    assert sizes["Llama-3.1-8B"] == 1
    assert sizes["Llama-3.1-70B"] == 4
    assert sizes["Llama-3.1-405B"] == sizes["DeepSeek-V3"] == 16
    for name, model in catalogue.models().items():
        assert roofline.largest_batch(model, H100, sizes[name], model.precision) >= roofline.LEAST_BATCH
        assert math.log2(sizes[name]).is_integer()


def test_the_reference_gpu_is_worth_itself_and_a_newer_one_more() -> None:
    factors = {gpu.name: roofline.reference_factor(gpu) for gpu in catalogue.hardware().values()}
    assert factors["H100 SXM"] == 1
    assert factors["L4"] < factors["A100 SXM 80GB"] < 1 < factors["H200 SXM"] < factors["B200 SXM"]


def test_every_row_of_the_catalogue_has_a_source() -> None:
    rows = [*catalogue.hardware().values(), *catalogue.models().values()]
    assert all(row.source for row in rows)
    assert all(card.source for card in seeds.rate_cards())


def test_an_unknown_number_format_is_an_error() -> None:
    with pytest.raises(ValueError, match="bf16"):
        catalogue._precision("int3")


SPELLINGS = {
    "Llama-3.1-8B": [
        "meta-llama/Llama-3.1-8B-Instruct",
        "llama-3.1-8b-instant",
        "llama3.1:8b",
        "llama3.1",
        "meta.llama3-1-8b-instruct-v1:0",
        "accounts/fireworks/models/llama-v3p1-8b-instruct",
        "meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo",
    ],
    "Llama-3.3-70B": ["llama-3.3-70b-versatile", "llama3.3", "meta-llama/Llama-3.3-70B-Instruct"],
    "Llama-3.1-405B": ["meta-llama/Llama-3.1-405B-Instruct-FP8"],
    "Qwen2.5-32B": ["Qwen/Qwen2.5-32B-Instruct", "Qwen/Qwen2.5-Coder-32B-Instruct", "qwen2.5-coder:32b"],
    "Qwen2.5-72B": ["accounts/fireworks/models/qwen2p5-72b-instruct"],
    "Qwen3-32B": ["Qwen/Qwen3-32B", "qwen3:32b"],
    "Qwen3-30B-A3B": ["Qwen/Qwen3-30B-A3B-Instruct-2507", "Qwen/Qwen3-Coder-30B-A3B-Instruct"],
    "Mixtral-8x7B": ["mistralai/Mixtral-8x7B-Instruct-v0.1", "open-mixtral-8x7b", "mixtral:8x7b"],
    "gpt-oss-120b": ["openai/gpt-oss-120b", "gpt-oss:120b"],
    "Llama-3.2-1B": ["meta-llama/Llama-3.2-1B-Instruct", "us.meta.llama3-2-1b-instruct-v1:0", "llama3.2:1b"],
    "Llama-3.2-3B": ["llama3.2", "llama3.2:latest", "llama-3.2-3b-preview"],
    "Llama-4-Scout": [
        "meta-llama/llama-4-scout-17b-16e-instruct",
        "meta.llama4-scout-17b-instruct-v1:0",
        "accounts/fireworks/models/llama4-scout-instruct-basic",
    ],
    "Llama-4-Maverick": [
        "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8",
        "llama-4-maverick-17b-128e-instruct-maas",
    ],
    "Qwen3-4B": ["Qwen/Qwen3-4B-Instruct-2507", "qwen3:4b"],
    "Qwen3-8B": ["Qwen/Qwen3-8B", "qwen3", "qwen3:latest"],
    "Qwen3-Coder-480B-A35B": ["qwen3-coder:480b", "qwen.qwen3-coder-480b-a35b-v1:0"],
    "Qwen3-Next-80B-A3B": ["Qwen/Qwen3-Next-80B-A3B-Instruct"],
    "Mixtral-8x22B": ["open-mixtral-8x22b", "mistralai/Mixtral-8x22B-Instruct-v0.1"],
    "Mistral-Nemo-12B": ["open-mistral-nemo", "mistralai/Mistral-Nemo-Instruct-2407", "mistral-nemo"],
    "DeepSeek-V3.2": ["deepseek-ai/DeepSeek-V3.2-Exp", "deepseek-ai/DeepSeek-V3.2"],
    "Kimi-K2": ["moonshotai/kimi-k2", "moonshotai/Kimi-K2-Instruct-0905"],
    "Kimi-K2.5": ["moonshotai/Kimi-K2.5"],
    "GLM-4.7-Flash": ["zai-org/glm-4.7-flash"],
    "GLM-5": ["zai-org/GLM-5-FP8", "zai-org/GLM-5.2", "zai-glm-5-2"],
    "MiniMax-M2.5": ["MiniMaxAI/MiniMax-M2", "MiniMaxAI/MiniMax-M2.7"],
    "Gemma-2-9B": ["google/gemma-2-9b-it", "gemma2-9b-it", "gemma2"],
    "Nemotron-3-Nano": ["nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "nvidia/nemotron-3-nano-30b-a3b"],
    "DeepSeek-V3": ["deepseek-ai/DeepSeek-V3.1", "deepseek-ai/DeepSeek-R1-0528", "us.deepseek.r1-v1:0"],
}
NONE = [
    "gpt-5",
    "gpt-4o-mini",
    "claude-sonnet-4-5",
    "gemini-2.5-pro",
    "deepseek-r1:7b",
    "deepseek-ai/DeepSeek-R1-Distill-Llama-70B",
    "Qwen/Qwen2.5-VL-72B",
    "llama-3.2-11b-vision-preview",
    "qwen3-max",
    "qwen3-coder-plus",
    "mistral-small-latest",
    "kimi-k2-thinking",
    "glm-4.7-air",
    "",
]


def matching(name: str) -> list[str]:
    return [model.name for model in catalogue.models().values() if re.search(model.pattern, name)]


@pytest.mark.parametrize(("model", "name"), [(m, name) for m, names in SPELLINGS.items() for name in names])
def test_a_models_spellings_find_it_and_it_alone(model: str, name: str) -> None:
    assert matching(name) == [model]


@pytest.mark.parametrize("name", NONE)
def test_closed_and_other_models_find_none(name: str) -> None:
    assert matching(name) == []
