"""A model's row of the catalogue from its `config.json`, as Hugging Face's transformers writes it.

Parameters are counted from the shapes: embeddings, attention (grouped-query, multi-head latent, gated
linear), feed-forward (dense or experts). Norms and biases are left out: below 0.1 %.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .catalogue import Model, Precision

Config = Mapping[str, Any]

WINDOWED = ("sliding_attention", "chunked_attention", "linear_attention", "mamba")


class IncompleteConfig(ValueError):
    """A config.json that lacks what a catalogue row needs; the message names it."""


@dataclass(frozen=True, slots=True)
class _Attention:
    parameters: float  # of one layer
    heads: int
    qk_head_dim: int
    v_head_dim: int
    kv_values: int  # numbers that the cache keeps of a token in a layer


def model_of(config: Config, name: str, source: str, pattern: str | None = None) -> Model:
    """The model that a config.json describes.

    `pattern` finds its spellings (RE2); its own name unless given. Raises IncompleteConfig.
    """
    text = {**config, **config.get("text_config", {}), **config.get("llm_config", {})}
    hidden, layers = _number(text, "hidden_size", "n_embd"), _number(text, "num_hidden_layers", "n_layer")
    attention = _attention(text, hidden)
    full = _full_layers(text, layers)
    linear = _linear_layers(text, layers)
    mixer = (layers - linear) * attention.parameters + linear * _linear_attention(text, hidden)
    experts, used = _experts(text)
    sparse = _expert_layers(text, layers) if experts > 1 else 0
    of_expert = 3 * hidden * _number(text, "moe_intermediate_size", "intermediate_size") if sparse else 0
    always = (
        mixer
        + (layers - sparse) * _dense_mlp(text, hidden)
        + sparse * (_shared(text, hidden) + hidden * experts)
        + _number(text, "vocab_size") * hidden * (1 if text.get("tie_word_embeddings") else 2)
    )
    return Model(
        name=name,
        pattern=pattern if pattern is not None else f"(?i){re.escape(name)}$",
        parameters=float(always + sparse * experts * of_expert),
        active_parameters=float(always + sparse * used * of_expert),
        layers=layers,
        full_attention_layers=full,
        hidden=hidden,
        heads=attention.heads,
        qk_head_dim=attention.qk_head_dim,
        v_head_dim=attention.v_head_dim,
        kv_values_per_layer=attention.kv_values,
        experts=experts,
        experts_per_token=used,
        precision=_precision(config, text),
        source=source,
    )


def _attention(text: Config, hidden: int) -> _Attention:
    heads = _number(text, "num_attention_heads", "n_head")
    if latent := text.get("kv_lora_rank"):
        rope, nope, value = (
            _number(text, key) for key in ("qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim")
        )
        query = text.get("q_lora_rank")
        asked = hidden * query + query * heads * (nope + rope) if query else hidden * heads * (nope + rope)
        kept = hidden * (latent + rope) + latent * heads * (nope + value)
        return _Attention(asked + kept + heads * value * hidden, heads, nope + rope, value, latent + rope)
    dim = int(text.get("head_dim") or hidden // heads)
    groups = int(text.get("num_key_value_heads") or text.get("multi_query_group_num") or heads)
    gate = 2 if text.get("attn_output_gate") else 1
    projections = hidden * dim * (heads * gate + 2 * groups) + heads * dim * hidden
    return _Attention(projections, heads, dim, dim, 2 * groups * dim)


def _linear_attention(text: Config, hidden: int) -> int:
    """A gated delta net: queries, keys, values and gates in, values out."""
    if "linear_num_value_heads" not in text:
        return 0
    keys = _number(text, "linear_num_key_heads") * _number(text, "linear_key_head_dim")
    values = _number(text, "linear_num_value_heads") * _number(text, "linear_value_head_dim")
    return hidden * (2 * keys + 2 * values) + values * hidden


def _full_layers(text: Config, layers: int) -> int:
    """Layers whose attention sees, and whose cache keeps, the whole context."""
    if kinds := text.get("layer_types"):
        return sum(kind not in WINDOWED for kind in kinds)
    if every := text.get("full_attention_interval"):
        return int(layers // every)
    if text.get("sliding_window") and text.get("use_sliding_window", True):
        return int(text.get("max_window_layers", 0)) if "max_window_layers" in text else 0
    return layers


def _linear_layers(text: Config, layers: int) -> int:
    if kinds := text.get("layer_types"):
        return sum(kind == "linear_attention" for kind in kinds)
    return layers - _full_layers(text, layers) if "linear_num_value_heads" in text else 0


def _experts(text: Config) -> tuple[int, int]:
    """Routed experts, and those that a token goes through; (1, 1) for a dense model."""
    keys = ("n_routed_experts", "num_local_experts", "num_experts", "moe_num_experts")
    experts = next((int(text[key]) for key in keys if text.get(key)), 1)
    if experts == 1:
        return 1, 1
    return experts, _number(text, "num_experts_per_tok", "experts_per_token", "moe_topk", "top_k")


def _expert_layers(text: Config, layers: int) -> int:
    dense = int(text.get("first_k_dense_replace") or 0) or len(text.get("mlp_only_layers") or ())
    every = int(
        text.get("moe_layer_freq")
        or text.get("decoder_sparse_step")
        or text.get("interleave_moe_layer_step")
        or 1
    )
    return (layers - dense) // every


def _shared(text: Config, hidden: int) -> int:
    """The experts that every token goes through."""
    if width := text.get("shared_expert_intermediate_size") or text.get("shared_intermediate_size"):
        return int(3 * hidden * width)
    return int(text.get("n_shared_experts") or 0) * 3 * hidden * int(text.get("moe_intermediate_size") or 0)


def _dense_mlp(text: Config, hidden: int) -> int:
    if "n_layer" in text:  # GPT-2's family: two matrices, four times as wide
        return 2 * hidden * int(text.get("n_inner") or 4 * hidden)
    width = text.get("intermediate_size_mlp") or text.get("intermediate_size")
    if width is None and text.get("num_experts"):
        return 0  # every layer has experts
    return 3 * hidden * _number(text, "intermediate_size_mlp", "intermediate_size")


def _precision(config: Config, text: Config) -> Precision:
    """The number format that the weights were released in."""
    quantized = config.get("quantization_config") or text.get("quantization_config") or {}
    said = str(quantized).lower()
    if "mxfp4" in said or "nvfp4" in said:
        return "fp4"
    if "fp8" in said:
        return "fp8"
    if re.search(r"'(num_)?bits': 4|int4|awq|gptq", said):
        return "int4"
    if re.search(r"'type': 'float'", said) and re.search(r"'num_bits': 8", said):
        return "fp8"
    return "bf16"


def _number(text: Config, *keys: str) -> int:
    for key in keys:
        found = text.get(key)
        if isinstance(found, (int, float)) and not isinstance(found, bool) and 0 < found < 1e12:
            return int(found)
    raise IncompleteConfig(f"config.json has no {' or '.join(keys)}")
