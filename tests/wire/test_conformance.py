"""The official conformance suite through a running gateway, to a server that has everything, over each transport to it."""

import asyncio
from collections.abc import Mapping

import pytest

from conformance_gateway import UPSTREAMS, Run, UpstreamName, run_all
from conformance_scenarios import LOST, MORE, REQUIRED
from conformance_suite import REVISIONS, Verdicts, failed_checks, required
from node_tools import NodeTools

SCENARIOS = [(revision, scenario) for leg in (REQUIRED, MORE) for revision, scenarios in leg["server"].items() for scenario in scenarios]
PASSED = {"2025-11-25": 30, "2026-07-28": 37}


def lost(run: Run, scenario: str) -> frozenset[str]:
    return LOST.get(run, {}).get(scenario, frozenset())


@pytest.fixture(scope="module")
def verdicts(tools: NodeTools, tmp_path_factory: pytest.TempPathFactory) -> Mapping[Run, Verdicts]:
    def expected(run: Run, scenario: str) -> frozenset[str] | None:
        return lost(run, scenario) if (run[1], scenario) in SCENARIOS else None

    return asyncio.run(run_all(tools, tmp_path_factory.mktemp("conformance"), expected))


@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize(("revision", "scenario"), SCENARIOS, ids=[f"{revision}-{scenario}" for revision, scenario in SCENARIOS])
def test_every_check_of_the_official_suite_passes_but_what_is_lost_between_the_eras(
    revision: str, scenario: str, upstream: UpstreamName, verdicts: Mapping[Run, Verdicts]
) -> None:
    found = verdicts[upstream, revision]

    assert scenario in found, "it did not run"
    assert failed_checks(found[scenario]) == lost((upstream, revision), scenario), found[scenario]


@pytest.mark.parametrize(
    ("upstream", "revision"),
    [("legacy", "2025-11-25"), ("sse", "2025-11-25"), ("session", "2025-11-25"), ("modern", "2026-07-28"), ("stdio", "2026-07-28")],
)
def test_all_that_a_revision_requires_passes_with_a_server_of_that_revision(
    upstream: UpstreamName, revision: str, tools: NodeTools, verdicts: Mapping[Run, Verdicts]
) -> None:
    passed = [scenario for scenario in required(tools, "server", revision) if verdicts[upstream, revision].get(scenario) == ()]

    assert len(passed) == PASSED[revision]


@pytest.mark.parametrize("revision", REVISIONS)
def test_no_scenario_that_a_revision_requires_is_left_out(revision: str, tools: NodeTools) -> None:
    assert set(required(tools, "server", revision)) == set(REQUIRED["server"][revision])
    assert len(REQUIRED["server"][revision]) == PASSED[revision]
