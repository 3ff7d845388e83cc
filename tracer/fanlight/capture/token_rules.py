"""How each provider counts tokens, as one table: which of its counts make up each of ours.

    ANTHROPIC.read({"input_tokens": 3, "cache_read_input_tokens": 90, "output_tokens": 5}) == Usage(93, 5, 90)

Ours: the input includes what was read from and written to a cache, the output includes reasoning. The formats
read with these rules; docs/tokens.md is made from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

from fanlight.capture.answer import Usage
from fanlight.capture.values import MAX_COUNT

Names = tuple[str, ...]  # of one count; the first that is there is taken
MAX_KEYS = 64  # ours; what has more is no object of counts, and not worth a place in a cache


@dataclass(frozen=True, slots=True, eq=False)
class TokenRule:
    """Names of counts within a provider's object of them; `a.b` is member b of member a."""

    provider: str
    held_in: str  # the object, as the answer names it
    input: tuple[Names, ...] = ()  # added up
    output: tuple[Names, ...] = ()  # added up
    cache_read: Names = ()
    cache_write: Names = ()
    reasoning: Names = ()
    remark: str = ""
    source: str = ""

    def read(self, counts: Mapping[str, object]) -> Usage | None:
        """The tokens that `counts` reports; None if it reports none."""
        usage: list[int | None] = [None, None, None, None, None]
        reported = False
        for place, names in _terms_in(self, tuple(counts)) if len(counts) <= MAX_KEYS else _terms(self):
            for holder, key in names:
                held = counts.get(holder) if holder else counts
                found = held.get(key) if isinstance(held, dict) else None
                if type(found) is int and 0 <= found <= MAX_COUNT:
                    reported = True
                    before = usage[place]
                    usage[place] = found if before is None else before + found
                    break
        return tuple.__new__(Usage, usage) if reported else None  # as `Usage(*usage)`, a call less


_Terms = tuple[tuple[int, tuple[tuple[str, str], ...]], ...]


@lru_cache(maxsize=256)
def _terms_in(rule: TokenRule, keys: tuple[str, ...]) -> _Terms:
    """The same, less what an object with just these keys does not have: most names are other servers'."""
    found = (
        (place, tuple((holder, key) for holder, key in names if (holder or key) in keys))
        for place, names in _terms(rule)
    )
    return tuple((place, names) for place, names in found if names)


@cache
def _terms(rule: TokenRule) -> _Terms:
    """What is added up, as (place in a `Usage`, names); each name as (its holder or "", its key)."""
    kinds = (rule.input, rule.output, (rule.cache_read,), (rule.cache_write,), (rule.reasoning,))
    return tuple(
        (place, tuple((holder, key) for holder, _, key in (name.rpartition(".") for name in names)))
        for place, terms in enumerate(kinds)
        for names in terms
    )


OPENAI = TokenRule(
    "OpenAI, and what speaks its format",
    "usage",
    input=(("prompt_tokens", "input_tokens"),),
    output=(("completion_tokens", "output_tokens"),),
    cache_read=(
        "prompt_cache_hit_tokens",  # DeepSeek: api-docs.deepseek.com/guides/kv_cache
        "num_cached_tokens",  # Mistral
        "cached_tokens",  # Together, Moonshot
        "prompt_tokens_details.cached_tokens",
        "input_tokens_details.cached_tokens",
    ),
    cache_write=(
        "prompt_tokens_details.cache_write_tokens",
        "input_tokens_details.cache_write_tokens",
        "prompt_tokens_details.cache_creation_tokens",  # LiteLLM
        "prompt_tokens_details.cache_creation_input_tokens",  # Alibaba
    ),
    reasoning=(
        "completion_tokens_details.reasoning_tokens",
        "output_tokens_details.reasoning_tokens",
        "reasoning_tokens",  # Perplexity, DeepSeek on Azure
    ),
    remark="Input includes cached, output includes reasoning. Where total_tokens is the sum of input, output "
    "and reasoning (xAI), reasoning is added to the output. Where the usage has seconds of audio (Mistral), "
    "the input is what the total has beside the output.",
    source="https://platform.openai.com/docs/api-reference/chat/object",
)
ONLY_TOTAL = TokenRule(
    "Voyage and other makers of embeddings",
    "usage",
    input=(("total_tokens",),),
    remark="Only a total, which is the input.",
    source="https://docs.voyageai.com/reference/embeddings-api",
)
ANTHROPIC = TokenRule(
    "Anthropic",
    "usage",
    input=(("input_tokens",), ("cache_read_input_tokens",), ("cache_creation_input_tokens",)),
    output=(("output_tokens",),),
    cache_read=("cache_read_input_tokens",),
    cache_write=("cache_creation_input_tokens",),
    reasoning=("output_tokens_details.thinking_tokens",),
    remark="Input excludes cached: reads and writes are added. In a stream, message_delta has the counts of "
    "the whole message, and the output_tokens of message_start are no result. The counts of a compaction "
    "(iterations) are added.",
    source="https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching",
)
GEMINI = TokenRule(
    "Gemini",
    "usageMetadata",
    input=(("promptTokenCount",), ("toolUsePromptTokenCount",)),
    output=(("candidatesTokenCount",), ("thoughtsTokenCount",)),
    cache_read=("cachedContentTokenCount",),
    reasoning=("thoughtsTokenCount",),
    remark="Input includes cached; thoughts and the prompts of tools are added. Every event of a stream has "
    "the counts so far. A count of 0 is left out; an output that is left out follows from totalTokenCount.",
    source="https://ai.google.dev/api/generate-content#UsageMetadata",
)
GEMINI_INTERACTIONS = TokenRule(
    "Gemini, interactions",
    "usage",
    input=(("total_input_tokens",), ("total_tool_use_tokens",)),
    output=(("total_output_tokens",), ("total_thought_tokens",)),
    cache_read=("total_cached_tokens",),
    reasoning=("total_thought_tokens",),
    remark="As Gemini.",
    source="https://ai.google.dev/api/interactions-api",
)
GEMINI_LIVE = TokenRule(
    "Gemini, live",
    "usageMetadata",
    input=(("promptTokenCount",), ("toolUsePromptTokenCount",)),
    output=(("responseTokenCount",), ("thoughtsTokenCount",)),
    cache_read=("cachedContentTokenCount",),
    reasoning=("thoughtsTokenCount",),
    remark="As Gemini. The input of a turn is the whole session so far.",
    source="https://ai.google.dev/api/live",
)
BEDROCK = TokenRule(
    "Bedrock Converse, Nova, and the metrics of streams",
    "usage, amazon-bedrock-invocationMetrics",
    input=(
        ("inputTokens", "inputTokenCount"),
        ("cacheReadInputTokens", "cacheReadInputTokenCount"),
        ("cacheWriteInputTokens", "cacheWriteInputTokenCount"),
    ),
    output=(("outputTokens", "outputTokenCount"),),
    cache_read=("cacheReadInputTokens", "cacheReadInputTokenCount"),
    cache_write=("cacheWriteInputTokens", "cacheWriteInputTokenCount"),
    remark="Input excludes cached: reads and writes are added.",
    source="https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html",
)
BEDROCK_HEADERS = TokenRule(
    "Bedrock InvokeModel, where the body has no counts",
    "headers x-amzn-bedrock-*",
    input=(("input-token-count",), ("cache-read-input-token-count",), ("cache-write-input-token-count",)),
    output=(("output-token-count",),),
    cache_read=("cache-read-input-token-count",),
    cache_write=("cache-write-input-token-count",),
    remark="As Bedrock Converse.",
    source="https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html",
)
TITAN = TokenRule(
    "Titan on Bedrock",
    "the answer",
    input=(("inputTextTokenCount",),),
    output=(("totalOutputTextTokenCount",),),
    remark="Without a stream, the output is the sum of results[].tokenCount.",
    source="https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-text.html",
)
LLAMA = TokenRule(
    "Llama on Bedrock",
    "the answer",
    input=(("prompt_token_count",),),
    output=(("generation_token_count",),),
    remark="In a stream, only the first event has the input.",
    source="https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-meta.html",
)
OLLAMA = TokenRule(
    "Ollama",
    "the answer",
    input=(("prompt_eval_count",),),
    output=(("eval_count",),),
    remark="A count that is left out (a prompt evaluated before) is unknown.",
    source="https://github.com/ollama/ollama/blob/main/docs/api.md",
)
COHERE = TokenRule(
    "Cohere, and other rerankers",
    "usage, meta",
    input=(
        ("tokens.input_tokens", "billed_units.input_tokens", "input_tokens", "prompt_tokens", "total_tokens"),
    ),
    output=(("tokens.output_tokens", "billed_units.output_tokens"),),
    cache_read=("cached_tokens",),
    remark="Input includes cached. What the model saw (tokens) is more than what is billed.",
    source="https://docs.cohere.com/reference/chat",
)
WATSONX = TokenRule(
    "watsonx.ai",
    "results[]",
    input=(("input_token_count",),),
    output=(("generated_token_count",),),
    remark="Added up over the results. In a stream the counts are those so far: the largest.",
    source="https://cloud.ibm.com/apidocs/watsonx-ai#text-generation",
)
SGLANG = TokenRule(
    "SGLang, /generate",
    "meta_info",
    input=(("prompt_tokens",),),
    output=(("completion_tokens",),),
    cache_read=("cached_tokens",),
    remark="Input includes cached. Every event of a stream has the counts so far.",
    source="https://docs.sglang.ai/basic_usage/native_api.html",
)
TGI = TokenRule(
    "TGI, /generate; TEI",
    "headers x-*",
    input=(("x-prompt-tokens", "x-compute-tokens"),),
    output=(("x-generated-tokens",),),
    remark="A stream has details.generated_tokens and details.input_length.",
    source="https://github.com/huggingface/text-generation-inference/blob/main/router/src/server.rs",
)
LLAMA_CPP = TokenRule(
    "llama.cpp, /completion",
    "the answer",
    input=(("tokens_evaluated",),),
    output=(("tokens_predicted",),),
    cache_read=("timings.cache_n",),
    remark="Input includes cached.",
    source="https://github.com/ggml-org/llama.cpp/tree/master/tools/server",
)
REPLICATE = TokenRule(
    "Replicate",
    "metrics",
    input=(("input_token_count",),),
    output=(("output_token_count",),),
    remark="There once the prediction has ended.",
    source="https://replicate.com/docs/reference/http",
)

RULES = (
    OPENAI,
    ONLY_TOTAL,
    ANTHROPIC,
    GEMINI,
    GEMINI_INTERACTIONS,
    GEMINI_LIVE,
    BEDROCK,
    BEDROCK_HEADERS,
    TITAN,
    LLAMA,
    OLLAMA,
    COHERE,
    WATSONX,
    SGLANG,
    TGI,
    LLAMA_CPP,
    REPLICATE,
)
