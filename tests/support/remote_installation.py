"""An installation of a remote server on a platform under test, and what is known of its tools."""

import base64
import json
from typing import Any

from operator_platform import Platform, until
from own_address import EGRESS
from recording_server import Handler, Http
from wharfinger_cluster.resource import CONFIG_MAP, SECRET, Scope
from wharfinger_crds import names
from wharfinger_crds.connection import read_connection
from wharfinger_crds.kinds import INSTALLATION, REGISTRY_ENTRY
from wharfinger_crds.tool_definitions import read_definitions


def tool(name: str, description: str = "") -> dict[str, Any]:
    return {"name": name, "description": description or name, "inputSchema": {"type": "object"}}


async def install(platform: Platform, url: str, **tools: Any) -> None:
    await platform.environment(**EGRESS)
    await entry(platform, url, **tools)
    await installation(platform, "remote")


async def entry(platform: Platform, url: str, **tools: Any) -> None:
    spec = {"title": "X", "type": "Remote", "remote": {"url": url}, "environmentRef": {"name": f"env-{platform.mark}"}}
    await platform.apply(REGISTRY_ENTRY, f"entry-{platform.mark}", spec | ({"tools": tools} if tools else {}))


async def installation(platform: Platform, name: str) -> None:
    await platform.apply(INSTALLATION, name, {"entryRef": {"name": f"entry-{platform.mark}"}, "owner": {"team": "engineering"}})


async def url_of(https: Http, server: Handler) -> str:
    endpoint = await https(server)
    return f"https://{endpoint.host}/mcp"


async def status(platform: Platform) -> dict[str, Any]:
    found: dict[str, Any] = (await platform.get(INSTALLATION, "remote") or {}).get("status", {})
    return found


async def condition(platform: Platform, kind: str, value: str, reason: str) -> dict[str, Any]:
    """Wait until a condition says this, and return it."""

    async def says() -> dict[str, Any] | None:
        found = (c for c in (await status(platform)).get("conditions", ()) if c["type"] == kind)
        return next((c for c in found if (c["status"], c["reason"]) == (value, reason)), None)

    found: dict[str, Any] = await until(says)
    return found


async def stored(platform: Platform) -> dict[str, list[str]]:
    """Return the names of the tools in each stored list."""
    found = await platform.cluster.list(CONFIG_MAP, Scope(platform.spaces.system, labels=f"{names.PART}=tools"))
    return {one["metadata"]["name"]: [tool["name"] for tool in json.loads(read_definitions(one))] for one in found}


async def offered(platform: Platform) -> list[str]:
    """Return the tools that a gateway gets."""
    secret = await platform.cluster.get(SECRET, names.connection_name(platform.spaces.tenant, "remote"), platform.spaces.system)
    digest = read_connection(base64.b64decode(secret["data"][names.CONNECTION_KEY])).tools_hash
    return (await stored(platform)).get(names.tools_name(digest), []) if digest else []
