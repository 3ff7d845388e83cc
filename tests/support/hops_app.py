"""An app whose calls go through others: `hops_app.py URLS`, a JSON object of a URL for each role of hop.py.

Each is an action of that name; `both` asks the gateway and the engine. FANLIGHT_PROPAGATE_TO names the hosts.
"""

import json
import sys
from typing import Any

import httpx
from openai import OpenAI

import fanlight

MESSAGES: Any = [{"role": "user", "content": "one two three"}]
urls = json.loads(sys.argv[1])
fanlight.instrument()


def ask(role: str) -> None:
    with OpenAI(base_url=f"{urls[role]}/v1", api_key="k", max_retries=0) as client:
        client.chat.completions.create(model="m", messages=MESSAGES)


for role in ("gateway", "watched", "engine"):
    with fanlight.action(role):
        ask(role)
with fanlight.action("service"), fanlight.tool("search"):
    httpx.post(f"{urls['service']}/search", timeout=60)
with fanlight.action("both"):
    ask("gateway")
    ask("engine")
assert fanlight.flush(timeout_s=60)  # not a claim: a busy machine
