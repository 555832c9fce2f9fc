"""A small MCP server: greets in the configured language, and lets nobody in without its key."""

import hmac
import os

import uvicorn
from mcp.server.mcpserver import MCPServer
from starlette.types import ASGIApp, Receive, Scope, Send

GREETINGS = {"English": "Hello", "French": "Bonjour", "German": "Guten Tag"}

server = MCPServer("greeter")


@server.tool()
def greet(name: str) -> str:
    """Greet somebody by name."""
    return f"{GREETINGS[os.environ.get('GREETER_LANGUAGE', 'English')]}, {name}!"


@server.tool()
def languages() -> list[str]:
    """List the languages of the greeter."""
    return sorted(GREETINGS)


def with_key(app: ASGIApp, key: str) -> ASGIApp:
    """Let only requests with the key through."""

    async def check(scope: Scope, receive: Receive, send: Send) -> None:
        sent = dict(scope.get("headers", ())).get(b"authorization", b"")
        if scope["type"] == "http" and not hmac.compare_digest(sent, f"Bearer {key}".encode()):
            await send({"type": "http.response.start", "status": 401, "headers": [(b"www-authenticate", b"Bearer")]})
            await send({"type": "http.response.body", "body": b""})
            return
        await app(scope, receive, send)

    return check


if __name__ == "__main__":
    uvicorn.run(
        with_key(server.streamable_http_app(host="0.0.0.0"), os.environ["GREETER_KEY"]), host="0.0.0.0", port=8000, log_level="warning"
    )
