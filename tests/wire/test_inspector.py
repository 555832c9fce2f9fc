"""MCP Inspector, the official debugging client, through a running gateway."""

import asyncio
import json
from pathlib import Path

import pytest

from gateway_process import GatewayProcess
from gateway_world import ALICE
from node_tools import NodeTools

ERAS = ("legacy", "modern")
CALL = ("--method", "tools/call", "--tool-name", "t__test_simple_text")
FEATURES = {
    "lists prompts": (("--method", "prompts/list"), "t__test_prompt_with_arguments"),
    "gets a prompt": (
        ("--method", "prompts/get", "--prompt-name", "t__test_prompt_with_arguments", "--prompt-args", "arg1=a", "arg2=b"),
        "Prompt with arguments: arg1='a', arg2='b'",
    ),
    "lists resources": (("--method", "resources/list"), "test://static-text"),
    "reads a resource": (("--method", "resources/read", "--uri", "test://static-text"), "This is the content of the static text resource."),
}


async def inspect(
    tools: NodeTools, running: GatewayProcess, home: Path, token: str, *arguments: str, path: str = "tools", transport: str = "http"
) -> tuple[int, str, str]:
    url = f"{running.url}/v1/mcp/dev.{path}"
    options = (
        "--cli",
        url,
        "--transport",
        transport,
        "--format",
        "json",
        "--stored-auth-only",
        "--header",
        f"Authorization: Bearer {token}",
    )
    done = await asyncio.to_thread(tools.run, "mcp-inspector", *options, *arguments, home=home)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.requirement("GW-2")
@pytest.mark.parametrize("era", ERAS)
async def test_the_inspector_lists_the_tools(era: str, tools: NodeTools, running: GatewayProcess, tmp_path: Path) -> None:
    code, out, err = await inspect(tools, running, tmp_path, ALICE, "--protocol-era", era, "--method", "tools/list")

    assert code == 0, err
    assert "t__test_simple_text" in [tool["name"] for tool in json.loads(out)["result"]["tools"]]


@pytest.mark.parametrize("server_era", ERAS)
@pytest.mark.parametrize("era", ERAS)
async def test_the_inspector_calls_a_tool(era: str, server_era: str, tools: NodeTools, running: GatewayProcess, tmp_path: Path) -> None:
    code, out, err = await inspect(tools, running, tmp_path, ALICE, "--protocol-era", era, *CALL, path=server_era)

    assert code == 0, err
    assert "This is a simple text response for testing." in out


@pytest.mark.parametrize("server_era", ERAS)
async def test_the_inspector_calls_a_tool_beside_a_stream(
    server_era: str, tools: NodeTools, running: GatewayProcess, tmp_path: Path
) -> None:
    code, out, err = await inspect(tools, running, tmp_path, ALICE, *CALL, path=f"{server_era}/sse", transport="sse")

    assert code == 0, err
    assert "This is a simple text response for testing." in out


@pytest.mark.requirement("GW-16")
@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("case", FEATURES)
async def test_the_inspector(era: str, case: str, tools: NodeTools, running: GatewayProcess, tmp_path: Path) -> None:
    arguments, says = FEATURES[case]
    code, out, err = await inspect(tools, running, tmp_path, ALICE, "--protocol-era", era, *arguments)

    assert code == 0, err
    assert says in out


@pytest.mark.requirement("AUT-4")
@pytest.mark.parametrize("era", ERAS)
async def test_the_inspector_is_told_that_it_must_log_in(era: str, tools: NodeTools, running: GatewayProcess, tmp_path: Path) -> None:
    needs_login = 3

    code, _, err = await inspect(tools, running, tmp_path, "wrong", "--protocol-era", era, "--method", "tools/list")

    assert code == needs_login, err
