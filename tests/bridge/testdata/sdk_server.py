"""A stdio server on the official SDK."""

from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("sdk-server", instructions="add")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
async def work(steps: int, context: Context) -> str:
    """Report progress on the way."""
    for step in range(steps):
        await context.report_progress(step, steps, "working")
    return "done"


@server.resource("memo://one")
def memo() -> str:
    """Return a text."""
    return "the memo"


@server.prompt()
def greet(name: str) -> str:
    """Return a greeting."""
    return f"Greet {name}"


server.run("stdio")
