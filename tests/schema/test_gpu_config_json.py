"""Catalogue rows from config.json, against what the makers say of their models' sizes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fanlight_schema.gpu import catalogue
from fanlight_schema.gpu.config_json import IncompleteConfig, model_of

# The numbers of each model's config.json on Hugging Face; only those that are read.
LLAMA_8B = {
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "tie_word_embeddings": False,
}
QWEN3_30B = {
    "hidden_size": 2048,
    "num_hidden_layers": 48,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "intermediate_size": 6144,
    "moe_intermediate_size": 768,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "vocab_size": 151936,
}
DEEPSEEK_V3 = {
    "hidden_size": 7168,
    "num_hidden_layers": 61,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "first_k_dense_replace": 3,
    "moe_layer_freq": 1,
    "kv_lora_rank": 512,
    "q_lora_rank": 1536,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "vocab_size": 129280,
    "quantization_config": {"quant_method": "fp8", "fmt": "e4m3"},
}
GPT_OSS_120B = {
    "hidden_size": 2880,
    "num_hidden_layers": 36,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "intermediate_size": 2880,
    "num_local_experts": 128,
    "experts_per_token": 4,
    "layer_types": ["sliding_attention", "full_attention"] * 18,
    "sliding_window": 128,
    "vocab_size": 201088,
    "quantization_config": {"quant_method": "mxfp4"},
}
MIXTRAL = {
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
    "sliding_window": None,
    "vocab_size": 32000,
}
QWEN35_397B = {
    "text_config": {
        "hidden_size": 4096,
        "num_hidden_layers": 60,
        "num_attention_heads": 32,
        "num_key_value_heads": 2,
        "head_dim": 256,
        "attn_output_gate": True,
        "full_attention_interval": 4,
        "linear_key_head_dim": 128,
        "linear_num_key_heads": 16,
        "linear_num_value_heads": 64,
        "linear_value_head_dim": 128,
        "moe_intermediate_size": 1024,
        "shared_expert_intermediate_size": 1024,
        "num_experts": 512,
        "num_experts_per_tok": 10,
        "mlp_only_layers": [],
        "vocab_size": 248320,
    }
}
LLAMA_4_SCOUT = {
    "model_type": "llama4",
    "text_config": {
        "model_type": "llama4_text",
        "attention_chunk_size": 8192,
        "head_dim": 128,
        "hidden_size": 5120,
        "interleave_moe_layer_step": 1,
        "intermediate_size": 8192,
        "intermediate_size_mlp": 16384,
        "num_attention_heads": 40,
        "num_experts_per_tok": 1,
        "num_hidden_layers": 48,
        "num_key_value_heads": 8,
        "num_local_experts": 16,
        "vocab_size": 202048,
    },
}
NEMOTRON_3_NANO = {
    "hybrid_override_pattern": "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
    "head_dim": 128,
    "hidden_size": 2688,
    "intermediate_size": 1856,
    "mamba_head_dim": 64,
    "mamba_num_heads": 64,
    "moe_intermediate_size": 1856,
    "moe_shared_expert_intermediate_size": 3712,
    "n_groups": 8,
    "n_routed_experts": 128,
    "num_attention_heads": 32,
    "num_experts_per_tok": 6,
    "num_hidden_layers": 52,
    "num_key_value_heads": 2,
    "ssm_state_size": 128,
    "vocab_size": 131072,
}
NEMOTRON_H_56B = {
    "hybrid_override_pattern": "M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-"
    "M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M-",
    "hidden_size": 8192,
    "intermediate_size": 32768,
    "mamba_head_dim": 64,
    "mamba_num_heads": 256,
    "n_groups": 8,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "ssm_state_size": 256,
    "vocab_size": 131072,
}
BLOOM = {
    "n_layer": 70,
    "n_head": 112,
    "hidden_size": 14336,
    "vocab_size": 250880,
    "tie_word_embeddings": True,
}


@pytest.mark.parametrize(
    ("name", "config", "billions", "active"),
    [
        ("Llama-3.1-8B", LLAMA_8B, 8.03, 8.03),
        ("Qwen3-30B-A3B", QWEN3_30B, 30.5, 3.3),
        ("DeepSeek-V3", DEEPSEEK_V3, 671, 37),
        ("gpt-oss-120b", GPT_OSS_120B, 116.8, 5.1),
        ("Mixtral-8x7B", MIXTRAL, 46.7, 12.9),
        ("Qwen3.5-397B-A17B", QWEN35_397B, 397, 17),
        ("BLOOM-176B", BLOOM, 176.2, 176.2),
        ("Nemotron-3-Nano", NEMOTRON_3_NANO, 31.6, 3.6),
        ("Nemotron-H-56B", NEMOTRON_H_56B, 56, 56),
    ],
)
def test_sizes_are_those_that_the_maker_gives(
    name: str, config: dict[str, Any], billions: float, active: float
) -> None:
    """Makers round, and some leave the embeddings out of what is active."""
    found = model_of(config, name, "test")
    assert found.parameters / 1e9 == pytest.approx(billions, rel=0.01)
    assert found.active_parameters / 1e9 == pytest.approx(active, rel=0.15)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("Llama-3.1-8B", LLAMA_8B),
        ("Qwen3-30B-A3B", QWEN3_30B),
        ("DeepSeek-V3", DEEPSEEK_V3),
        ("gpt-oss-120b", GPT_OSS_120B),
        ("Mixtral-8x7B", MIXTRAL),
        ("Qwen3.5-397B-A17B", QWEN35_397B),
        ("BLOOM-176B", BLOOM),
    ],
)
def test_shapes_are_those_of_the_shipped_catalogue(name: str, config: dict[str, Any]) -> None:
    found, shipped = model_of(config, name, "test"), catalogue.models()[name]
    for field in (
        "layers",
        "full_attention_layers",
        "windowed_layers",
        "window",
        "state_layers",
        "hidden",
        "heads",
        "qk_head_dim",
        "v_head_dim",
        "kv_values_per_layer",
        "experts",
        "experts_per_token",
    ):
        assert getattr(found, field) == getattr(shipped, field), field


@pytest.mark.parametrize(
    ("config", "layers"),
    [
        (LLAMA_8B, (32, 0, 0, 0)),
        (GPT_OSS_120B, (18, 18, 128, 0)),
        (LLAMA_4_SCOUT, (12, 36, 8192, 0)),  # three layers of four see chunks
        (QWEN35_397B, (15, 0, 0, 45)),
        (NEMOTRON_3_NANO, (6, 0, 0, 46)),
        ({**LLAMA_8B, "sliding_window": 4096}, (0, 32, 4096, 0)),  # Mistral 7B v0.1
        ({**LLAMA_8B, "sliding_window": 4096, "use_sliding_window": False}, (32, 0, 0, 0)),  # Qwen 2.5
        ({**LLAMA_8B, "sliding_window": 1024, "sliding_window_pattern": 6}, (5, 27, 1024, 0)),  # Gemma 3
        ({**LLAMA_8B, "sliding_window": 1024, "model_type": "gemma3_text"}, (5, 27, 1024, 0)),  # its default
        (
            {**LLAMA_8B, "sliding_window": 4096, "sliding_window_pattern": "LLLG"},
            (8, 24, 4096, 0),
        ),  # EXAONE 4
        ({**LLAMA_8B, "sliding_window": 4096, "model_type": "cohere2"}, (8, 24, 4096, 0)),  # Command R7B
        # A window as long as the longest context is none: Phi 4 mini.
        ({**LLAMA_8B, "sliding_window": 4096, "max_position_embeddings": 4096}, (32, 0, 0, 0)),
    ],
)
def test_layers_are_told_apart_by_what_they_see(
    config: dict[str, Any], layers: tuple[int, int, int, int]
) -> None:
    found = model_of(config, "m", "test")
    assert (found.full_attention_layers, found.windowed_layers, found.window, found.state_layers) == layers


# The numbers that are read of the makers' config.json, beside what they say of the model's size.
PUBLISHED = json.loads((Path(__file__).parent / "model_configs.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda one: one["model"])
def test_a_row_of_the_catalogue_is_what_add_model_makes_of_the_config(published: dict[str, Any]) -> None:
    shipped = catalogue.models()[published["model"]]
    found = model_of(published["config"], shipped.name, shipped.source, shipped.pattern)
    for field in ("parameters", "active_parameters"):
        assert f"{getattr(found, field):.4g}" == f"{getattr(shipped, field):.4g}"
        found = replace(found, **{field: getattr(shipped, field)})
    assert found == shipped


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda one: one["model"])
def test_parameters_are_the_published_ones(published: dict[str, Any]) -> None:
    """Makers round active parameters to billions, and leave out one table of embeddings, both or none."""
    config, billions, active = (published[key] for key in ("config", "published_billions", "active_billions"))
    found = model_of(config, published["model"], "test")
    rounded = 0.03 if billions == 1000 else 0.02  # "one trillion"
    assert found.parameters / 1e9 == pytest.approx(billions, rel=rounded)
    text = {**config, **config.get("text_config", {})}
    table = text.get("vocab_size", 0) * text["hidden_size"]
    counts = [(found.active_parameters - tables * table) / 1e9 for tables in (0, 1, 2)]
    assert any(one == pytest.approx(active, rel=0.02) or round(one) == active for one in counts), counts


def test_a_gemma_3_may_leave_out_what_is_usual() -> None:
    """google/gemma-3-4b-it does: transformers' defaults are its heads, its cache and its vocabulary."""
    said = {"hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34, "sliding_window": 1024}
    found = model_of({"text_config": {**said, "model_type": "gemma3_text"}}, "m", "test")
    assert found.parameters == pytest.approx(3_880_099_328, rel=0.001)  # Keras' preset gemma3_4b_text
    assert (found.heads, found.kv_values_per_layer, found.full_attention_layers) == (8, 2048, 5)


def test_letters_and_words_for_the_same_layers_are_the_same_model() -> None:
    words = {"M": "mamba", "*": "attention", "E": "moe", "-": "mlp"}
    for config in (NEMOTRON_3_NANO, NEMOTRON_H_56B):
        pattern = str(config["hybrid_override_pattern"])
        said = {key: value for key, value in config.items() if key != "hybrid_override_pattern"}
        found = model_of({**said, "layers_block_type": [words[one] for one in pattern]}, "m", "test")
        assert found == model_of(config, "m", "test")


@pytest.mark.parametrize(
    ("key", "kinds", "said"),
    [
        ("layers_block_type", ["mamba", "hybrid"], "hybrid"),
        ("layer_types", ["mamba", "attention"], "state space"),
    ],
)
def test_layers_whose_shapes_are_not_read_are_refused(key: str, kinds: list[str], said: str) -> None:
    with pytest.raises(IncompleteConfig, match=said):  # Zamba 2; Granite 4
        model_of({**LLAMA_8B, key: kinds * 16}, "m", "test")


def test_llama_4_has_an_expert_for_every_token() -> None:
    """Meta says 17 billion active; 109 in all are with the encoder of images, which is not counted."""
    found = model_of(LLAMA_4_SCOUT, "m", "test")
    assert found.active_parameters / 1e9 == pytest.approx(17, rel=0.02)
    assert found.parameters / 1e9 == pytest.approx(109 - 0.9, rel=0.01)


@pytest.mark.parametrize(
    "key",
    ["block_configs", "linear_attn_config", "compress_ratios", "global_head_dim", "sparse_attention_config"],
)
def test_shapes_that_would_be_counted_wrongly_are_refused(key: str) -> None:
    with pytest.raises(IncompleteConfig, match=f"{key}.*not counted"):
        model_of({**LLAMA_8B, key: {"any": 1}}, "m", "test")


@pytest.mark.parametrize(
    ("quantization", "precision"),
    [
        (None, "bf16"),
        ({"quant_method": "fp8"}, "fp8"),
        ({"quant_method": "mxfp4"}, "fp4"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "fp4"),
        ({"quant_method": "awq", "bits": 4}, "int4"),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 4}}},
            },
            "int4",
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 8, "type": "float"}}},
            },
            "fp8",
        ),
    ],
)
def test_the_number_format_of_the_release(quantization: object, precision: str) -> None:
    assert model_of({**LLAMA_8B, "quantization_config": quantization}, "m", "test").precision == precision


@pytest.mark.parametrize("missing", ["hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size"])
def test_what_is_missing_is_named(missing: str) -> None:
    config = {key: value for key, value in LLAMA_8B.items() if key != missing}
    with pytest.raises(IncompleteConfig, match=missing):
        model_of(config, "m", "test")


@pytest.mark.parametrize("wrong", [0, -1, "many", None, True, 1e300])
def test_a_number_that_is_none_is_missing(wrong: object) -> None:
    with pytest.raises(IncompleteConfig, match="hidden_size"):
        model_of({**LLAMA_8B, "hidden_size": wrong}, "m", "test")
