"""The gateway as a client of the official conformance suite's own server."""

import asyncio
from collections.abc import Mapping

import pytest

from conformance_client import Scenario, run_all
from conformance_scenarios import MORE, REQUIRED
from conformance_suite import REVISIONS, required
from node_tools import NodeTools

SCENARIOS: list[Scenario] = [
    (revision, scenario) for leg in (REQUIRED, MORE) for revision, scenarios in leg["client"].items() for scenario in scenarios
]
PASSED = {"2025-11-25": 4, "2026-07-28": 7}


@pytest.fixture(scope="module")
def failures(tools: NodeTools, tmp_path_factory: pytest.TempPathFactory) -> Mapping[Scenario, tuple[str, ...]]:
    return asyncio.run(run_all(tools, SCENARIOS, tmp_path_factory.mktemp("conformance-client")))


@pytest.mark.parametrize(("revision", "scenario"), SCENARIOS, ids=[f"{revision}-{scenario}" for revision, scenario in SCENARIOS])
def test_a_scenario_with_the_suites_server_passes(revision: str, scenario: str, failures: Mapping[Scenario, tuple[str, ...]]) -> None:
    assert failures[revision, scenario] == ()


@pytest.mark.parametrize("revision", REVISIONS)
def test_no_scenario_that_a_revision_requires_is_left_out_but_those_of_authorization(revision: str, tools: NodeTools) -> None:
    wanted = {name for name in required(tools, "client", revision) if not name.startswith("auth/")}

    assert wanted == set(REQUIRED["client"][revision])
    assert len(wanted) == PASSED[revision]
