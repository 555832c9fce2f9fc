"""MCP on the wire: JSON-RPC, both protocol eras, and the client of the servers behind the gateway.

Imports msgspec, httptools and the standard library. Knows nothing of Kubernetes, of gateways or of who calls.
"""
