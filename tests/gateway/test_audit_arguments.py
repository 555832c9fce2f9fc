"""Arguments in the audit record: where that was asked for, and no more of them than was."""

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from eventually import eventually
from gateway_caller import META, MODERN
from gateway_process import gateway_process
from gateway_upstream import UpstreamServer
from gateway_world import ALICE, SECRET, dump, gateway, installation, pinned

OFFLINE = str(Path(__file__).parents[1] / "support/gateway_offline.py")
pytestmark = pytest.mark.requirement("OPS-6")


async def records(folder: Path, server: UpstreamServer, variables: dict[str, str], requests: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """Return the audit records of requests: each a method and the text of its params, without the end."""
    server.lists = {"prompts/list": [{"name": "greet"}]}
    path = folder / "manifests"
    path.write_text(dump([*installation("bot", team="engineering", url=server.url), gateway("tools", pinned("bot", prompts=["*"]))]))
    async with gateway_process([OFFLINE, str(path)], variables) as running, aiohttp.ClientSession() as http:
        await running.ready()
        for method, params in requests:
            body = f'{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params},"_meta":{json.dumps(META)}}}}}'
            named = {"Mcp-Name": name} if (name := json.loads(body)["params"].get("name")) else {}
            fields = {"Authorization": f"Bearer {ALICE}", "Content-Type": "application/json", "MCP-Protocol-Version": MODERN}
            async with http.post(f"{running.url}/v1/mcp/dev.tools", data=body, headers=fields | {"Mcp-Method": method} | named) as response:
                assert response.status == 200, await response.text()
        await eventually(lambda: len(running.out) == len(requests))
        assert not any(planted in "".join(running.out) for planted in (SECRET, ALICE, "clientInfo"))
        return [json.loads(line) for line in running.out]


async def test_no_argument_is_recorded_unless_it_is_asked_for(tmp_path: Path, modern_server: UpstreamServer) -> None:
    (record,) = await records(tmp_path, modern_server, {}, [("tools/call", '"name":"bot__echo","arguments":{"a":"planted"}')])
    assert "arguments" not in record
    assert "planted" not in json.dumps(record)


async def test_arguments_are_recorded_as_they_were_written_in_one_line_and_cut(tmp_path: Path, modern_server: UpstreamServer) -> None:
    requests = [
        ("tools/call", '"name":"bot__echo","arguments":{"a" : 1.50,\n"b":[]}'),
        ("tools/call", '"name":"bot__echo","arguments":{"word":"0123456789abc\u00e9"}'),
        ("tools/call", '"name":"bot__echo"'),
        ("prompts/get", '"name":"bot__greet","arguments":{"who":"x"}'),
        ("completion/complete", '"ref":{"type":"ref/prompt","name":"bot__greet"},"argument":{"name":"who"}'),
    ]
    found = await records(tmp_path, modern_server, {"WHARFINGER_AUDIT_ARGUMENT_BYTES": "23"}, requests)
    assert [one["arguments"] for one in found] == [
        '{"a" : 1.50,\n"b":[]}',
        # The last byte is half a character.
        '{"word":"0123456789abc',
        "",
        '{"who":"x"}',
        '{"name":"who"}',
    ]
