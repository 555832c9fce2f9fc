"""The gateway: MCP in, MCP out, nothing unpermitted."""
