"""The official Python SDK of the older line, once through everything: `python_1.py URL TOKEN`; prints what it saw as JSON."""

import asyncio
import json
import sys

from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from mcp.types import ElicitResult


async def answer(context, params):
    return ElicitResult(action="accept", content={"username": "Ann", "email": "ann@example.com"})


async def main(url: str, token: str) -> None:
    async with (
        streamablehttp_client(url, headers={"Authorization": f"Bearer {token}"}) as (reading, writing, _),
        ClientSession(reading, writing, elicitation_callback=answer) as client,
    ):
        revision = (await client.initialize()).protocolVersion
        tools = (await client.list_tools()).tools
        called = await client.call_tool("t__test_simple_text", {})
        asked = await client.call_tool("t__test_elicitation", {"message": "Who?"})
        prompts = (await client.list_prompts()).prompts
        prompt = await client.get_prompt("t__test_prompt_with_arguments", {"arg1": "a", "arg2": "b"})
        resources = (await client.list_resources()).resources
        read = await client.read_resource("test://static-text")
    seen = {
        "revision": revision,
        "tools": [one.name for one in tools],
        "called": called.content[0].text,
        "asked": asked.content[0].text,
        "prompts": [one.name for one in prompts],
        "prompt": prompt.messages[0].content.text,
        "resources": [str(one.uri) for one in resources],
        "read": read.contents[0].text,
    }
    print(json.dumps(seen))


asyncio.run(main(*sys.argv[1:3]))
