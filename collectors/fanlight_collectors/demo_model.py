"""What the demo's model answers: a pure function of seed and prompt, with tokens counted by one stated rule.

The rule: a text of n characters is `ceil(n / 4)` tokens. A prompt's text is its messages one after the other,
each as `role: content` with its tool calls as JSON. Cached tokens are counted as vLLM's prefix cache counts
them: whole blocks of 16 tokens that an earlier prompt began with, never the last token
(https://docs.vllm.ai/en/latest/design/prefix_caching.html).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

CHARACTERS_PER_TOKEN = 4  # the rule of thumb that OpenAI's tokenizer page gives for English
BLOCK_TOKENS = 16  # vLLM's default --block-size
CHUNK_TOKENS = 4  # tokens in one event of a stream
LIST_REQUEST = "numbered list"  # a system prompt with these words gets a plan as its answer

Json: TypeAlias = Mapping[str, object]

_SENTENCE = (
    "the request fans out into calls that each ask for a share of the cluster while queues grow and batches "
    "fill so a planner weighs cost against latency and every worker reports what it found before the end"
)
_WORDS = _SENTENCE.split()
_TASKS = ("Collect sources", "Compare figures", "Check claims", "Estimate cost", "List risks", "Draft it")


@dataclass(frozen=True, slots=True)
class Answer:
    """One model answer: text or tool calls, and what it cost in tokens."""

    content: str
    tool_calls: tuple[Json, ...]
    finish_reason: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int

    def chunks(self) -> list[str]:
        """The text in pieces of CHUNK_TOKENS tokens, as a stream sends it."""
        width = CHUNK_TOKENS * CHARACTERS_PER_TOKEN
        return [self.content[start : start + width] for start in range(0, len(self.content), width)]


@dataclass(slots=True)
class DemoModel:
    """Answers prompts; remembers only which prompts it has seen (for the prefix cache)."""

    seed: int = 7
    _seen_prefixes: set[str] = field(default_factory=set)

    def answer(self, messages: Sequence[Json], tools: Sequence[Json], max_tokens: int | None) -> Answer:
        """The answer to a chat prompt. Same seed and prompt, same text."""
        prompt = prompt_text(messages)
        calls = self._tool_calls(messages, tools)
        text = "" if calls else self._text(messages, prompt)
        cut = max_tokens is not None and count_tokens(text) > max_tokens
        if max_tokens is not None and cut:
            text = text[: max_tokens * CHARACTERS_PER_TOKEN]
        reason = "tool_calls" if calls else "length" if cut else "stop"
        output = text + "".join(json.dumps(call) for call in calls)
        return Answer(
            text, calls, reason, count_tokens(prompt), self._cached_tokens(prompt), count_tokens(output)
        )

    def draw(self, purpose: str, text: str, sides: int) -> int:
        """A number in 0..sides-1 that depends on seed, purpose and text alone."""
        digest = hashlib.sha256(f"{self.seed}|{purpose}|{text}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % sides

    def _text(self, messages: Sequence[Json], prompt: str) -> str:
        if any(LIST_REQUEST in str(m.get("content")) for m in messages if m.get("role") == "system"):
            return self._plan(prompt)
        words = 24 + self.draw("length", prompt, 120)
        return " ".join(_WORDS[self.draw(f"word {i}", prompt, len(_WORDS))] for i in range(words)) + "."

    def _plan(self, prompt: str) -> str:
        tasks = 2 + self.draw("tasks", prompt, 5)
        return "\n".join(
            f"{i + 1}. {_TASKS[self.draw(f'task {i}', prompt, len(_TASKS))]} ({i + 1})" for i in range(tasks)
        )

    def _tool_calls(self, messages: Sequence[Json], tools: Sequence[Json]) -> tuple[Json, ...]:
        if not tools:
            return ()
        question = next((str(m.get("content")) for m in messages if m.get("role") == "user"), "")
        rounds_done = sum(1 for m in messages if m.get("tool_calls"))
        if rounds_done >= 1 + self.draw("rounds", question, 3):
            return ()
        return tuple(self._tool_call(tool, question, rounds_done) for tool in tools[: 1 + rounds_done % 2])

    def _tool_call(self, tool: Json, question: str, turn: int) -> Json:
        function = tool.get("function")
        name = function.get("name") if isinstance(function, Mapping) else "tool"
        return {
            "id": f"call_{self.draw(f'call {turn} {name}', question, 16**12):012x}",
            "type": "function",
            "function": {"name": name, "arguments": json.dumps({"query": question[:60], "turn": turn})},
        }

    def _cached_tokens(self, prompt: str) -> int:
        block = BLOCK_TOKENS * CHARACTERS_PER_TOKEN
        digest, prefixes = hashlib.sha256(), []
        for start in range(0, len(prompt) - len(prompt) % block, block):
            digest.update(prompt[start : start + block].encode())
            prefixes.append(digest.hexdigest())
        hits = next((i for i, p in enumerate(prefixes) if p not in self._seen_prefixes), len(prefixes))
        self._seen_prefixes.update(prefixes)
        return BLOCK_TOKENS * min(hits, (count_tokens(prompt) - 1) // BLOCK_TOKENS)


def count_tokens(text: str) -> int:
    """Tokens of a text by the demo's rule: one for every four characters begun."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def prompt_text(messages: Sequence[Json]) -> str:
    """The text that a chat prompt is counted by; a conversation's next turn begins with it."""
    return "".join(_message_text(message) for message in messages)


def _message_text(message: Json) -> str:
    calls = message.get("tool_calls")
    suffix = json.dumps(calls, sort_keys=True) if calls else ""
    return f"{message.get('role')}: {message.get('content') or ''}{suffix}\n"
