"""The official conformance suite's scenarios for what is built: the handshake, ping, tools with JSON answers, DNS rebinding."""

import asyncio
from pathlib import Path

import pytest

from conformance_adapter import adapter
from gateway_process import GatewayProcess
from gateway_world import ALICE
from node_tools import NodeTools

SCENARIOS = {
    "2025-11-25": (
        "server-initialize", "ping", "tools-list", "tools-call-simple-text", "tools-call-image", "tools-call-audio",
        "tools-call-embedded-resource", "tools-call-mixed-content", "tools-call-error", "dns-rebinding-protection",
    ),
}  # fmt: skip
CASES = [(revision, scenario) for revision, scenarios in SCENARIOS.items() for scenario in scenarios]


@pytest.mark.parametrize(("revision", "scenario"), CASES, ids=[f"{revision}-{scenario}" for revision, scenario in CASES])
async def test_a_scenario_of_the_official_suite_passes(
    revision: str, scenario: str, tools: NodeTools, running: GatewayProcess, tmp_path: Path
) -> None:
    async with adapter(f"{running.url}/v1/mcp/dev.tools", ALICE, "t") as url:
        arguments = ("server", "--url", url, "--scenario", scenario, "--spec-version", revision)
        done = await asyncio.to_thread(tools.run, "conformance", *arguments, home=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
