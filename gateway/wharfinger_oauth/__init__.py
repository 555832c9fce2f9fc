"""Who calls: the authorization server for MCP clients, login at identity providers, and tokens of others."""
