"""The gateway as a client of the official conformance suite's own server."""

import asyncio
from collections.abc import Mapping

import pytest

from conformance_client import Scenario, run_all
from conformance_passing import CLIENT_LEG
from conformance_suite import REVISIONS, required
from node_tools import NodeTools

SCENARIOS: list[Scenario] = [(revision, scenario) for revision, scenarios in CLIENT_LEG.items() for scenario in scenarios]


@pytest.fixture(scope="module")
def failures(tools: NodeTools, tmp_path_factory: pytest.TempPathFactory) -> Mapping[Scenario, tuple[str, ...]]:
    return asyncio.run(run_all(tools, SCENARIOS, tmp_path_factory.mktemp("conformance-client")))


@pytest.mark.parametrize(("revision", "scenario"), SCENARIOS, ids=[f"{revision}-{scenario}" for revision, scenario in SCENARIOS])
def test_a_scenario_with_the_suites_server_passes_if_it_is_said_to(
    revision: str, scenario: str, failures: Mapping[Scenario, tuple[str, ...]]
) -> None:
    failed = failures[revision, scenario]

    if CLIENT_LEG[revision][scenario]:
        assert failed == ()
    else:
        assert failed != (), "it passes now: say so in tests/support/conformance_passing.py"


@pytest.mark.parametrize("revision", REVISIONS)
def test_no_scenario_that_a_revision_requires_is_left_out_but_those_of_authorization(revision: str, tools: NodeTools) -> None:
    left_out = set(required(tools, "client", revision)) - set(CLIENT_LEG[revision])

    assert {name for name in left_out if not name.startswith("auth/")} == set()
