"""A model's row of the catalogue from its `config.json`, as Hugging Face's transformers writes it.

Parameters are counted from the shapes: embeddings, attention (grouped-query, multi-head latent, gated
linear), state space mixers, feed-forward (dense or experts). Norms and biases are left out: below 0.1 %.
Architectures whose shapes these keys do not tell are refused: a wrong size is worse than none.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .catalogue import Model, Precision

Config = Mapping[str, Any]

WINDOWED = ("sliding_attention", "chunked_attention")
LINEAR = "linear_attention"
HYBRID = "hybrid_override_pattern"  # Nemotron-H: one letter a layer
BLOCKS = "layers_block_type"  # the same as words, since transformers 5
LETTERS = {"mamba": "M", "attention": "*", "moe": "E", "mlp": "-"}
TIED = ("gemma", "cohere")  # one matrix for both embeddings unless they say otherwise
# What a Gemma 3 need not say (transformers 5.24, Gemma3TextConfig).
GEMMA_3 = {"vocab_size": 262208, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256}
# Of so many layers one sees the whole context, where no key says it (transformers 5.24).
EVERY = {"gemma2": 2, "gemma3": 6, "gemma3_text": 6, "cohere2": 4}
CHUNKED = (3, 4)  # of Llama 4's layers three of four see chunks (transformers, Llama4TextConfig)
UNCOUNTED = {  # keys of architectures that would be counted wrongly
    "block_configs": "layers of different shapes",
    "linear_attn_config": "Kimi delta attention",
    "compress_ratios": "compressed attention",
    "global_head_dim": "heads of two sizes",
    "altup_num_inputs": "alternating updates",
    "swa_num_key_value_heads": "caches of two sizes",
    "sparse_attention_config": "block-sparse attention",
}


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
    text = _text(config)
    hidden, layers = _number(text, "hidden_size", "n_embd"), _layers(text)
    attention = _attention(text, hidden)
    windowed, window = _windows(text, layers)
    experts, used = _experts(text)
    always, of_expert = _layer_parameters(text, hidden, layers, attention, experts)
    always += _number(text, "vocab_size") * hidden * (1 if _tied(text) else 2)
    return Model(
        name=name,
        pattern=pattern if pattern is not None else f"(?i){re.escape(name)}$",
        parameters=float(always + experts * of_expert),
        active_parameters=float(always + used * of_expert),
        layers=layers,
        full_attention_layers=_full_layers(text, layers),
        hidden=hidden,
        heads=attention.heads,
        qk_head_dim=attention.qk_head_dim,
        v_head_dim=attention.v_head_dim,
        kv_values_per_layer=attention.kv_values,
        experts=experts,
        experts_per_token=used,
        precision=_precision(config, text),
        source=source,
        windowed_layers=windowed,
        window=window,
    )


def _tied(text: Config) -> bool:
    """Whether one matrix is both embeddings, by transformers' default where the config does not say."""
    said = text.get("tie_word_embeddings")
    return bool(said) if said is not None else _kind(text).startswith(TIED)


def _kind(text: Config) -> str:
    return str(text.get("model_type"))


def _text(config: Config) -> Config:
    """What the config says of the language model; IncompleteConfig if that cannot be counted."""
    text = {**config, **config.get("text_config", {}), **config.get("llm_config", {})}
    for key, what in UNCOUNTED.items():
        if text.get(key):
            raise IncompleteConfig(f"config.json describes {what} ({key}), which is not counted")
    if "mamba" in (text.get("layer_types") or ()):
        raise IncompleteConfig(
            "config.json describes state space layers (layer_types), which are not counted"
        )
    if _kind(text).startswith("gemma3"):
        text = {**GEMMA_3, **text}
    if text.get(BLOCKS):
        text[HYBRID] = _letters(text[BLOCKS])
    return text


def _letters(blocks: Sequence[str]) -> str:
    """The kinds of layers as Nemotron-H's letters."""
    if unknown := sorted(set(blocks) - set(LETTERS)):
        raise IncompleteConfig(f"config.json describes {', '.join(unknown)} ({BLOCKS}), which is not counted")
    return "".join(LETTERS[block] for block in blocks)


def _layers(text: Config) -> int:
    kinds = text.get(HYBRID) or ""
    return len(kinds) or _number(text, "num_hidden_layers", "n_layer")


def _layer_parameters(
    text: Config, hidden: int, layers: int, attention: _Attention, experts: int
) -> tuple[float, float]:
    """Parameters of all layers that every token goes through, and those of one expert in all its layers."""
    if kinds := text.get(HYBRID):
        return _hybrid_parameters(text, hidden, kinds, attention, experts)
    linear = _linear_layers(text, layers)
    mixer = (layers - linear) * attention.parameters + linear * _linear_attention(text, hidden)
    sparse = _expert_layers(text, layers) if experts > 1 else 0
    of_expert = 3 * hidden * _number(text, "moe_intermediate_size", "intermediate_size") if sparse else 0
    dense = (layers - sparse) * _dense_mlp(text, hidden) if layers > sparse else 0
    return mixer + dense + sparse * (_shared(text, hidden) + hidden * experts), float(sparse * of_expert)


def _hybrid_parameters(
    text: Config, hidden: int, kinds: str, attention: _Attention, experts: int
) -> tuple[float, float]:
    """Nemotron-H: a layer is one of mixer M, attention *, experts E and MLP -, the last two without a gate.

    With `moe_latent_size` experts work between two projections that every token goes through.
    """
    inner = _number(text, "mamba_num_heads") * _number(text, "mamba_head_dim")
    state = 2 * _number(text, "n_groups") * _number(text, "ssm_state_size")
    mamba = hidden * (3 * inner + state + _number(text, "mamba_num_heads"))
    mlp = 2 * hidden * _number(text, "intermediate_size") if "-" in kinds else 0
    shared = of_expert = 0
    if "E" in kinds:
        latent = int(text.get("moe_latent_size") or 0)
        shared = 2 * hidden * (int(text.get("moe_shared_expert_intermediate_size") or 0) + latent)
        shared += hidden * experts
        of_expert = 2 * (latent or hidden) * _number(text, "moe_intermediate_size")
    always = (
        kinds.count("M") * mamba
        + kinds.count("*") * attention.parameters
        + kinds.count("-") * mlp
        + kinds.count("E") * shared
    )
    return always, float(kinds.count("E") * of_expert)


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
    if kinds := text.get(HYBRID):
        return int(kinds.count("*"))
    if kinds := text.get("layer_types"):
        return layers - _windows(text, layers)[0] - sum(map(LINEAR.__eq__, kinds))
    if every := text.get("full_attention_interval"):
        return int(layers // every)
    return layers - _windows(text, layers)[0]


def _windows(text: Config, layers: int) -> tuple[int, int]:
    """Layers whose attention sees a window of the last tokens, and how many tokens; (0, 0) without any.

    A window as long as the longest context is none.
    """
    window = int(text.get("sliding_window") or text.get("attention_chunk_size") or 0)
    if window >= int(text.get("max_position_embeddings") or window + 1):
        return 0, 0
    if kinds := text.get("layer_types"):
        windowed = sum(kind in WINDOWED for kind in kinds)
    elif every := _every(text):
        windowed = layers - layers // every
    elif text.get("sliding_window") and text.get("use_sliding_window", True):
        windowed = layers - int(text.get("max_window_layers") or 0)
    elif text.get("attention_chunk_size"):
        windowed = layers * CHUNKED[0] // CHUNKED[1]
    else:
        windowed = 0
    return (windowed, window) if windowed > 0 and window else (0, 0)


def _every(text: Config) -> int:
    """Of how many layers one sees the whole context: a number or letters such as LLLG; 0 if nothing says."""
    said = text.get("sliding_window_pattern") or text.get("layer_switch") or EVERY.get(_kind(text), 0)
    return len(said) if isinstance(said, str) else int(said)


def _linear_layers(text: Config, layers: int) -> int:
    if kinds := text.get("layer_types"):
        return sum(kind == LINEAR for kind in kinds)
    return layers - _full_layers(text, layers) if "linear_num_value_heads" in text else 0


def _experts(text: Config) -> tuple[int, int]:
    """Routed experts, and those that a token goes through; (1, 1) for a dense model."""
    keys = ("n_routed_experts", "num_local_experts", "num_experts", "moe_num_experts")
    experts = next((int(text[key]) for key in keys if text.get(key)), 1)
    if experts == 1:
        return 1, 1
    return experts, _number(
        text, "num_experts_per_tok", "experts_per_token", "moe_topk", "moe_top_k", "top_k"
    )


def _expert_layers(text: Config, layers: int) -> int:
    frequency = text.get("moe_layer_freq")
    if isinstance(frequency, list):
        return sum(bool(one) for one in frequency)
    dense = int(text.get("first_k_dense_replace") or 0) or len(text.get("mlp_only_layers") or ())
    every = int(frequency or text.get("decoder_sparse_step") or text.get("interleave_moe_layer_step") or 1)
    return (layers - dense) // every


def _shared(text: Config, hidden: int) -> int:
    """The experts that every token goes through; Llama 4 has one and no key for it."""
    if width := text.get("shared_expert_intermediate_size") or text.get("shared_intermediate_size"):
        return int(3 * hidden * width)
    if str(text.get("model_type")).startswith("llama4"):
        return 3 * hidden * _number(text, "intermediate_size")
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
