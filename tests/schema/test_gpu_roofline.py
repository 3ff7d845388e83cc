"""The catalogue and the roofline; expected numbers are computed by hand from data sheets and config.json."""

import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanlight_schema.gpu import catalogue, roofline, seeds
from fanlight_schema.gpu.catalogue import Model
from fanlight_schema.gpu.features import Work, steps, work
from fanlight_schema.gpu.pricing import cost
from fanlight_schema.gpu.roofline import Rates, Replica

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


DEEPSEEK = catalogue.models()["DeepSeek-V3"]
REPLICAS = [
    Replica("bf16"),
    Replica("fp8", tensor=8, kv_bytes=1),
    Replica("bf16", tensor=4, pipeline=2),
    Replica("fp8", tensor=8, expert=8),
    Replica("bf16", tensor=2, drafted=3, accepted=2.5),
]


def test_latent_attention_caches_576_numbers_a_layer_and_attends_over_192_and_128() -> None:
    rates = roofline.rates(DEEPSEEK, H100, 16, "fp8")
    # 61 layers of 512 latent and 64 rotary numbers in bf16 are 70,272 bytes a token
    assert rates.r_k == rates.r_c == pytest.approx(61 * (512 + 64) * 2 / (3.35e12 * 0.6))
    # scores over 128 + 64 dimensions and values over 128, 128 heads
    assert rates.r_a == pytest.approx(61 * 2 * 128 * (192 + 128) / (989e12 * 0.4))
    assert rates.r_u == pytest.approx(2 * 37e9 / (1978e12 * 0.4))


def test_a_cache_in_fp8_is_half_the_reads_and_twice_the_requests() -> None:
    bf16, fp8 = (
        roofline.replica_rates(LLAMA_70B, H100, Replica("bf16", tensor=4, kv_bytes=size)) for size in (2, 1)
    )
    assert (fp8.r_k, fp8.r_c) == pytest.approx((bf16.r_k / 2, bf16.r_c / 2))
    assert replace(fp8, r_k=bf16.r_k, r_c=bf16.r_c) == bf16
    # 288 GB less 141.2 are 146.8 GB; a token is 327,680 bytes, 4,096 of them 1.342 GB
    fits = [roofline.largest_batch(LLAMA_70B, H100, 4, "bf16", kv_of_each=size) for size in (2, 1)]
    assert fits == [109, 218]


def test_eight_gpus_as_two_stages_reduce_over_four_and_share_the_overhead() -> None:
    rates = roofline.replica_rates(LLAMA_70B, H100, Replica("bf16", tensor=4, pipeline=2))
    # 40 layers a stage, two all-reduces of 16,384 bytes each 1.5 times; half of all GPUs hand 16,384 on
    moved = 40 * 2 * 16_384 * 1.5 + 16_384 / 2
    assert rates.x_u == pytest.approx(moved / (450e9 * 0.7))
    assert rates.t_s == pytest.approx(40 * 95e-6)
    assert rates.gpus == 8


def test_experts_over_eight_gpus_send_a_token_to_the_eight_it_is_routed_to() -> None:
    rates = roofline.replica_rates(DEEPSEEK, H100, Replica("fp8", tensor=8, expert=8))
    # 7,168 values of 2 bytes: an all-reduce moves 2 * 7/8 of them, eight experts there and back 16 * 7/8 / 8
    moved = 61 * 14_336 * (2 * 7 / 8 + 2 * 8 * 7 / 8 / 8)
    assert rates.x_o == pytest.approx(moved / (450e9 * 0.7))
    assert rates.gpus == 8


def test_two_and_a_half_tokens_a_step_are_fewer_steps_and_more_arithmetic() -> None:
    plain, fast = (
        roofline.replica_rates(MOE, H100, Replica("bf16", drafted=drafted, accepted=accepted))
        for drafted, accepted in ((0, 1), (3, 2.5))
    )
    for name in ("r_k", "r_w", "t_s"):
        assert getattr(fast, name) == pytest.approx(getattr(plain, name) / 2.5), name
    assert fast.r_o == pytest.approx(plain.r_o * 4 / 2.5)
    assert (fast.r_u, fast.r_a, fast.x_u) == (plain.r_u, plain.r_a, plain.x_u)
    # a step of 8 requests is one of 32 tokens, so more experts are read
    assert fast.weights_read(8) == pytest.approx(plain.weights_read(32))
    with pytest.raises(ValueError, match="accepted"):
        Replica("bf16", drafted=1, accepted=3)


@pytest.mark.parametrize("replica", REPLICAS)
@pytest.mark.parametrize("model", [LLAMA_70B, MOE, DEEPSEEK])
def test_arithmetic_and_bytes_are_the_same_however_a_model_is_cut(model: Model, replica: Replica) -> None:
    """Only communication and overhead depend on the GPUs; no speed is above the data sheet's."""
    one = roofline.replica_rates(model, H100, replace(replica, tensor=1, pipeline=1, expert=1))
    cut = roofline.replica_rates(model, H100, replica)
    assert replace(cut, gpus=1, x_u=one.x_u, x_o=one.x_o, t_s=one.t_s) == one
    assert cut.r_u * H100.flops(replica.precision) >= 2 * model.active_parameters
    passes = cut.r_w * replica.accepted
    assert passes * H100.bandwidth >= roofline.weight_bytes(model, replica.precision)


@pytest.mark.parametrize("replica", REPLICAS)
def test_the_eight_features_and_a_card_price_alike(replica: Replica) -> None:
    """r_w w + G t_s s with the steps counted apart is what a card does with s and w in its output rate."""
    plain = roofline.replica_rates(MOE, H100, replace(replica, drafted=0, accepted=1))
    asked, batch = Work(1, 1000, 200, 300, 7e5, 4e5), 12
    shared = steps(
        asked.o,
        batch,
        dense_share=MOE.dense_share,
        expert_share=MOE.expert_share,
        accepted=replica.accepted,
        drafted=replica.drafted,
    )
    computed = (replica.drafted + 1) / replica.accepted
    wanted = (
        (plain.r_u + plain.gpus * plain.x_u) * asked.u
        + plain.r_c * asked.c
        + (plain.r_o + plain.gpus * plain.x_o) * asked.o * computed
        + plain.r_a * asked.a
        + plain.r_k * asked.k / replica.accepted
        + plain.r_w * shared.w
        + plain.gpus * plain.t_s * shared.s
    )
    assert cost(asked, roofline.replica_rates(MOE, H100, replica), batch) == pytest.approx(wanted)


@given(
    st.integers(0, 4000), st.integers(0, 4000), st.integers(0, 2000), st.sampled_from([128, 512, 1024, 4096])
)
def test_layers_with_a_window_cost_between_nothing_and_a_full_window_a_token(
    cached: int, uncached: int, output: int, window: int
) -> None:
    full = roofline.rates(LLAMA_70B, H100, 1, "bf16")
    high = roofline.with_windows(full, LLAMA_70B, H100, 80, window)
    asked = work(cached + uncached, cached, output)
    seen = work(cached + uncached, cached, output, window=window)
    exact = cost(asked, full, 8) + full.r_a * seen.a + full.r_k * seen.k  # all 80 layers once more
    assert cost(asked, full, 8) <= exact * (1 + 1e-12)
    assert exact <= cost(asked, high, 8) * (1 + 1e-12)


@given(
    st.sampled_from([model for model in catalogue.models().values() if model.windowed_layers]),
    st.integers(0, 20_000),
    st.integers(0, 20_000),
    st.integers(0, 4_000),
    st.floats(seeds.BATCH_LOW, seeds.BATCH_HIGH),
)
def test_a_shipped_card_s_bounds_hold_what_layers_with_a_window_really_see(
    model: Model, cached: int, uncached: int, output: int, batch: float
) -> None:
    card = seeds.modelled_card(model, H100)
    priced = Rates(**{name: getattr(card, name) for name in Rates.__slots__})
    none = roofline.rates(model, H100, card.gpus, model.precision)
    asked = work(cached + uncached, cached, output)
    seen = work(cached + uncached, cached, output, window=model.window)
    layers = model.windowed_layers / model.full_attention_layers
    exact = cost(asked, none, batch) + layers * (none.r_a * seen.a + none.r_k * seen.k)
    assert card.low_factor * cost(asked, priced, batch) <= roofline.LOW_FACTOR * exact * (1 + 1e-9)
    assert roofline.HIGH_FACTOR * exact <= card.high_factor * cost(asked, priced, batch) * (1 + 1e-9)


def test_what_does_not_fit_is_said() -> None:
    def status(gpus: int, batch: int, context: int) -> str:
        return roofline.fit_status(LLAMA_70B, H100, gpus, "bf16", batch=batch, context=context)

    assert status(1, 1, 1) == roofline.TOO_LARGE  # 141 GB in 80
    assert status(2, 1, 4096) == roofline.FITS  # 2.8 GB are left: two of 1.34
    assert status(2, 3, 4096) == roofline.CROWDED
    assert status(4, 109, 4096) == roofline.FITS


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
        "llama3",
        "llama3-8b-8192",
        "meta.llama3-8b-instruct-v1:0",
    ],
    "Llama-3.3-70B": ["llama-3.3-70b-versatile", "llama3.3", "meta-llama/Llama-3.3-70B-Instruct"],
    "Llama-3.1-405B": ["meta-llama/Llama-3.1-405B-Instruct-FP8"],
    "Qwen2.5-1.5B": ["Qwen/Qwen2.5-1.5B-Instruct", "qwen2.5-coder:1.5b"],
    "Gemma-7B": ["gemma-7b-it", "google/gemma-7b"],
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
    "Kimi-K2.5": ["moonshotai/Kimi-K2.5", "moonshotai/Kimi-K2.6", "kimi-k2.7-code"],
    "Kimi-K2-Thinking": ["moonshotai/Kimi-K2-Thinking", "kimi-k2-thinking"],
    "GLM-4.7": ["zai-org/GLM-4.6", "zai-org/GLM-4.5-FP8", "glm-4.7"],
    "GLM-4.5-Air": ["zai-org/GLM-4.5-Air", "glm-4.5-air"],
    "Phi-4": ["microsoft/phi-4", "phi4", "phi4:14b", "microsoft/Phi-4-reasoning"],
    "Phi-4-mini": ["microsoft/Phi-4-mini-instruct", "phi4-mini:3.8b"],
    "Phi-3-mini": ["microsoft/Phi-3.5-mini-instruct", "phi3", "phi-3-mini-128k-instruct"],
    "Gemma-3-1B": ["google/gemma-3-1b-it", "gemma3:1b"],
    "Gemma-3-4B": ["google/gemma-3-4b-it", "gemma3"],
    "Gemma-3-27B": ["google/gemma-3-27b-it", "google.gemma-3-27b-it", "gemma3:27b"],
    "Mistral-7B": [
        "mistralai/Mistral-7B-Instruct-v0.3",
        "open-mistral-7b",
        "mistral.mistral-7b-instruct-v0:2",
        "mistral",
    ],
    "Mistral-Small-24B": [
        "mistralai/Mistral-Small-24B-Instruct-2501",
        "mistralai/Mistral-Small-3.2-24B-Instruct-2506",
        "mistral-small-2506",
        "devstral-small-2507",
        "magistral-small-2509",
    ],
    "Devstral-Small-2-24B": ["mistralai/Devstral-Small-2-24B-Instruct-2512", "labs-devstral-small-2512"],
    "Devstral-2-123B": ["mistralai/Devstral-2-123B-Instruct-2512", "devstral-2512"],
    "OLMo-3-32B": ["allenai/Olmo-3.1-32B-Instruct", "allenai/Olmo-3-32B-Think"],
    "EXAONE-4.0-32B": ["LGAI-EXAONE/EXAONE-4.0-32B"],
    "Command-R": ["command-r", "CohereForAI/c4ai-command-r-v01"],
    "Command-R-08-2024": ["command-r-08-2024"],
    "Command-R-Plus": ["command-r-plus", "CohereForAI/c4ai-command-r-plus-08-2024"],
    "Granite-3.3-8B": ["ibm-granite/granite-3.3-8b-instruct", "granite3.3:8b", "granite3-dense:8b"],
    "SmolLM2-1.7B": ["HuggingFaceTB/SmolLM2-1.7B-Instruct", "smollm2"],
    "Qwen3-VL-30B-A3B": ["Qwen/Qwen3-VL-30B-A3B-Instruct"],
    "Qwen3-VL-235B-A22B": ["qwen.qwen3-vl-235b-a22b-v1:0"],
    "Qwen3.5-9B": ["Qwen/Qwen3.5-9B"],
    "Qwen3.6-35B-A3B": ["Qwen/Qwen3.6-35B-A3B"],
    "Nemotron-3-Ultra": ["nvidia/NVIDIA-Nemotron-3-Ultra-550B-A55B-BF16"],
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
    "glm-4.7-air",
    "glm-4.6v",
    "phi4-multimodal",
    "Phi-3-medium-128k-instruct",
    "mistralai/Mistral-7B-Instruct-v0.1",
    "command-a-03-2025",
    "gemma3n:e4b",
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
