"""Which provider is behind a host.

gen_ai.provider.name of https://github.com/open-telemetry/semantic-conventions-genai (registry), and the name
of the service where that has none.
"""

from __future__ import annotations

import functools

_PROVIDER_BY_HOST_END = (
    ("openai.azure.com", "azure.ai.openai"),
    ("services.ai.azure.com", "azure.ai.inference"),
    ("models.ai.azure.com", "azure.ai.inference"),
    ("cognitiveservices.azure.com", "azure.ai.openai"),
    ("groq.com", "groq"),
    ("deepseek.com", "deepseek"),
    ("mistral.ai", "mistral_ai"),
    ("x.ai", "x_ai"),
    ("perplexity.ai", "perplexity"),
    ("anthropic.com", "anthropic"),
    ("cohere.com", "cohere"),
    ("cohere.ai", "cohere"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("-aiplatform.googleapis.com", "gcp.vertex_ai"),  # behind a region
    ("amazonaws.com", "aws.bedrock"),
    ("api.aws", "aws.bedrock"),  # bedrock-runtime and bedrock-mantle, behind a region
    ("ml.cloud.ibm.com", "ibm.watsonx.ai"),
    ("openrouter.ai", "openrouter"),
    ("cerebras.ai", "cerebras"),
    ("together.xyz", "together_ai"),
    ("together.ai", "together_ai"),
    ("fireworks.ai", "fireworks_ai"),
    ("huggingface.co", "huggingface"),
    ("huggingface.cloud", "huggingface"),
    ("replicate.com", "replicate"),
    ("ollama.com", "ollama"),
    ("moonshot.ai", "moonshot_ai"),
    ("moonshot.cn", "moonshot_ai"),
    ("voyageai.com", "voyage_ai"),
    ("jina.ai", "jina_ai"),
    ("deepinfra.com", "deepinfra"),
    ("sambanova.ai", "sambanova"),
    ("nvidia.com", "nvidia"),
    ("aliyuncs.com", "alibaba_cloud"),
    ("z.ai", "z_ai"),
    ("minimax.io", "minimax"),
    ("ai-gateway.vercel.sh", "vercel"),
    ("models.github.ai", "github"),
)
_CLAUDE_ON_AWS = "aws-external-anthropic."  # Anthropic's own platform, at an address of AWS


@functools.lru_cache(maxsize=256)
def provider_of(host: str, flavour: str = "openai") -> str:
    """The provider behind a host; `flavour`, that of the wire format, where the host tells nothing."""
    host = host.lower()
    if host.startswith(_CLAUDE_ON_AWS):
        return flavour
    for end, provider in _PROVIDER_BY_HOST_END:
        if host == end or host.endswith(end if end[0] == "-" else f".{end}"):
            return provider
    return flavour
