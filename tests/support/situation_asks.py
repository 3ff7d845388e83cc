"""What the programs of the situations ask the provider, over the SDK: `ask()` or, as a program, the same.

    BASE_URL=... python situation_asks.py sync|async [set-up]

The prompts have the sizes of the comparison with other tracers (see situations.py). With `set-up` the program
switches fanlight on by itself.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import openai

SYSTEM = {"role": "system", "content": "You are a careful assistant."}
MESSAGES: Any = [SYSTEM, {"role": "user", "content": "Say what can be seen through the fan window."}]
SHORT_MESSAGES: Any = [{"role": "user", "content": "Say what is behind the fan window."}]
ASK: dict[str, Any] = {"model": "m", "messages": MESSAGES}
INPUT_16 = "Say in a few plain words what a careful person can see through the fan window."
INPUT_13 = "Say in a few plain words what one can see through the window."
TRIES = 2  # of further requests, the SDK's default


def ask(_: object = None) -> int:
    """Output tokens of one plain call."""
    with openai.OpenAI(base_url=os.environ["BASE_URL"], api_key="k") as client:
        return output_tokens(client.chat.completions.create(**ASK))


async def ask_async(messages: Any = MESSAGES) -> int:
    """The same over the async client."""
    async with openai.AsyncOpenAI(base_url=os.environ["BASE_URL"], api_key="k") as client:
        return output_tokens(await client.chat.completions.create(model="m", messages=messages))


def ask_in_loop(_: object = None) -> int:
    """The same in a loop of its own, for threads and processes that have none."""
    return asyncio.run(ask_async())


def wait_for_arrival(url: str) -> None:
    """Until the provider has got a request under this URL, answered or not."""
    scenario = urlsplit(url).path.split("/")[2]
    place = f"{url.partition('/s/')[0]}/_arrived/{scenario}"
    while True:
        with urllib.request.urlopen(place) as answer:
            if int(answer.read()):
                return
        time.sleep(0.01)


ASKS = {"sync": ask, "async": ask_in_loop}


def output_tokens(answer: Any) -> int:
    tokens: int = answer.usage.completion_tokens
    return tokens


if __name__ == "__main__":
    if "set-up" in sys.argv:
        import fanlight

        fanlight.instrument()
    if "short" in sys.argv:
        ASK["messages"] = SHORT_MESSAGES
    print(asyncio.run(ask_async(ASK["messages"])) if "async" in sys.argv else ask())
