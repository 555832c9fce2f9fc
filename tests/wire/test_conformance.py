"""The official conformance suite through a running gateway, to a server that has everything, over each transport to it."""

import asyncio
from collections.abc import Mapping

import pytest

from conformance_gateway import UPSTREAMS, Run, UpstreamName, run_all
from conformance_passing import SERVER_LEG
from conformance_suite import REVISIONS, Verdicts, required
from node_tools import NodeTools

SCENARIOS = [(revision, scenario) for revision, scenarios in SERVER_LEG.items() for scenario in scenarios]


@pytest.fixture(scope="module")
def verdicts(tools: NodeTools, tmp_path_factory: pytest.TempPathFactory) -> Mapping[Run, Verdicts]:
    def said(run: Run, scenario: str) -> bool:
        return run[0] in SERVER_LEG[run[1]].get(scenario, ())

    return asyncio.run(run_all(tools, tmp_path_factory.mktemp("conformance"), said))


@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize(("revision", "scenario"), SCENARIOS, ids=[f"{revision}-{scenario}" for revision, scenario in SCENARIOS])
def test_a_scenario_of_the_official_suite_passes_where_it_is_said_to_and_nowhere_else(
    revision: str, scenario: str, upstream: UpstreamName, verdicts: Mapping[Run, Verdicts]
) -> None:
    failed = verdicts[upstream, revision].get(scenario, ("it did not run",))

    if upstream in SERVER_LEG[revision][scenario]:
        assert failed == ()
    else:
        assert failed != (), "it passes now: say so in tests/support/conformance_passing.py"


@pytest.mark.parametrize("revision", REVISIONS)
def test_no_scenario_that_a_revision_requires_is_left_out(revision: str, tools: NodeTools) -> None:
    assert set(required(tools, "server", revision)) - set(SERVER_LEG[revision]) == set()
