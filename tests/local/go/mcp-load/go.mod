module wharfinger.dev/local/mcp-load

go 1.26.0
