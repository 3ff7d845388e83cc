"""An MCP server whose tools ask a model: over stdio, or over HTTP where a port is given.

It knows nothing of fanlight, and runs on both lines of the SDK.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import openai

try:
    from mcp.server import MCPServer as Server
except ImportError:  # mcp 1.x
    from mcp.server.fastmcp import FastMCP as Server  # type: ignore[no-redef]


def make_server() -> Any:
    """The server, with a tool that asks a model and one that fails."""
    server = Server("research")

    @server.tool()
    async def search(query: str) -> str:
        """Ask a model."""
        async with openai.AsyncOpenAI(base_url=os.environ["BASE_URL"], api_key="k") as client:
            answer = await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": query}]
            )
        return answer.choices[0].message.content or ""

    @server.tool()
    def broken(query: str) -> str:
        """Fail."""
        raise LookupError(query)

    return server


if __name__ == "__main__":
    if len(sys.argv) > 1:
        import uvicorn

        uvicorn.run(make_server().streamable_http_app(), port=int(sys.argv[1]), log_level="critical")
    else:
        make_server().run()
