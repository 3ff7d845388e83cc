"""A decoder of a known shape with random weights, in plain PyTorch: what an engine's forward pass computes.

Grouped-query attention with a cache that is filled in place, RMS norms, SwiGLU, one output head. Positions
are not encoded: rotating queries and keys is below 0.1 % of the arithmetic.
"""

from typing import Any

import torch
from gpu_shape import Shape
from torch.nn import functional

CHUNK_TOKENS = 8192  # prompt tokens that one forward pass takes at most; vLLM's default for servers' GPUs


class Decoder:
    """Weights on a device, and one cache for a batch of equally long sequences."""

    def __init__(self, shape: Shape, device: str, dtype: Any, batch: int, context: int) -> None:
        self.shape, self.device, self.batch = shape, device, batch
        self.length = 0  # tokens that every sequence has in the cache

        def matrix(rows: int, columns: int) -> Any:
            return torch.empty(rows, columns, device=device, dtype=dtype).normal_(0, columns**-0.5)

        wide = shape.head_dim * (shape.heads + 2 * shape.kv_heads)
        self._layers = [
            (
                matrix(wide, shape.hidden),
                matrix(shape.hidden, shape.head_dim * shape.heads),
                matrix(2 * shape.intermediate, shape.hidden),
                matrix(shape.hidden, shape.intermediate),
            )
            for _ in range(shape.layers)
        ]
        self._embedding = matrix(shape.vocabulary, shape.hidden)
        self._head = matrix(shape.vocabulary, shape.hidden)
        self._norm = torch.ones(shape.hidden, device=device, dtype=dtype)
        self.resize(batch, context)

    def resize(self, batch: int, context: int) -> None:
        """An empty cache for another batch and length; the old one is let go first."""
        self.batch, self.length, self._cache = batch, 0, []
        shape, dtype = self.shape, self._norm.dtype
        size = (2, batch, shape.kv_heads, context, shape.head_dim)
        self._cache = [torch.zeros(size, device=self.device, dtype=dtype) for _ in range(shape.layers)]

    @torch.inference_mode()
    def prefill(self, tokens: int) -> None:
        """Fills the cache with `tokens` a sequence: whole sequences side by side, long ones in parts."""
        together = max(1, CHUNK_TOKENS // tokens)
        for first in range(0, self.batch, together):
            rows = slice(first, min(first + together, self.batch))
            for start in range(0, tokens, CHUNK_TOKENS):
                self._forward(rows, start, min(CHUNK_TOKENS, tokens - start))
        self.length = tokens

    @torch.inference_mode()
    def step(self) -> None:
        """One more token for each sequence."""
        self._forward(slice(0, self.batch), self.length, 1)
        self.length += 1

    def _forward(self, rows: slice, start: int, new: int) -> None:
        shape = self.shape
        count = rows.stop - rows.start
        ids = torch.arange(start, start + new, device=self.device).expand(count, new) % shape.vocabulary
        x = functional.embedding(ids, self._embedding)
        for (asked, given, up, down), cache in zip(self._layers, self._cache, strict=True):
            x = x + functional.linear(self._attend(self._normed(x), asked, cache, rows, start), given)
            gate, wide = functional.linear(self._normed(x), up).chunk(2, dim=-1)
            x = x + functional.linear(functional.silu(gate) * wide, down)
        functional.linear(self._normed(x[:, -1]), self._head).argmax(dim=-1)

    def _normed(self, x: Any) -> Any:
        return functional.rms_norm(x, (self.shape.hidden,), self._norm, 1e-6)

    def _attend(self, x: Any, asked: Any, cache: Any, rows: slice, start: int) -> Any:
        shape = self.shape
        count, new, _ = x.shape
        sizes = [shape.head_dim * n for n in (shape.heads, shape.kv_heads, shape.kv_heads)]
        query, key, value = (
            part.view(count, new, -1, shape.head_dim).transpose(1, 2)
            for part in functional.linear(x, asked).split(sizes, dim=-1)
        )
        end = start + new
        cache[0, rows, :, start:end] = key
        cache[1, rows, :, start:end] = value
        keys, values = cache[0, rows, :, :end], cache[1, rows, :, :end]
        group = shape.heads // shape.kv_heads
        if new == 1:
            # The heads of a group stand for positions: each key is read once for all of them.
            query = query.reshape(count, shape.kv_heads, group, shape.head_dim)
            seen = functional.scaled_dot_product_attention(query, keys, values)
            return seen.reshape(count, 1, shape.heads * shape.head_dim)
        keys, values = (one.repeat_interleave(group, dim=1) for one in (keys, values))
        if start == 0:
            seen = functional.scaled_dot_product_attention(query, keys, values, is_causal=True)
        else:
            causal = torch.ones(new, end, device=self.device, dtype=torch.bool).tril(diagonal=start)
            seen = functional.scaled_dot_product_attention(query, keys, values, attn_mask=causal)
        return seen.transpose(1, 2).reshape(count, new, shape.heads * shape.head_dim)
