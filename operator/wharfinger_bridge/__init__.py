"""Serve a stdio MCP server as streamable HTTP, from inside that server's own container.

Standard library only and no other package of this project: it runs in any image, with a Python of its own.
"""

VERSION = "0.1.0"
"""What the bridge calls itself towards a server; equals the project's version."""
