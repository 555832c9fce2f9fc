"""Whom an installation serves, before running servers: its owner's scope, and others by explicit fields only."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from platform_call import call
from platform_cluster import SERVERS, SYSTEM, TENANT, PlatformCluster, entry, gateway, installation, token
from quickstart.forward import forwarded
from wharfinger_crds import names
from wharfinger_crds.token import token_text

NAME, TOOL = "shared", "shared__get_current_time"
ALICE, BOB, TEAM = "test:alice", "test:bob", "quickstart"
TOKENS = {
    ALICE: token_text("user", "SharingSharingSharingSharing0A"),
    BOB: token_text("user", "SharingSharingSharingSharing0B"),
    TEAM: token_text("team", "SharingSharingSharingSharing0T"),
}
pytestmark = pytest.mark.requirement("INS-10")

Answers = Callable[[], dict[str, dict[str, Any]]]
Served = Callable[..., None]


def personal(**sharing: Any) -> dict[str, Any]:
    """Alice's installation."""
    made = installation(NAME, NAME)
    made["spec"] |= {"owner": {"user": ALICE}, **({"sharing": sharing} if sharing else {})}
    return made


@pytest.fixture(scope="module")
def members(platform: PlatformCluster) -> Iterator[None]:
    """Alice and Bob are of the team, and the namespace may hold what is Alice's."""
    found = platform.get("configmap", names.SETTINGS_CONFIGMAP, "-n", SYSTEM)["data"]
    settings = yaml.safe_load(found[names.SETTINGS_KEY])
    settings["teams"] = [{"name": TEAM, "members": [ALICE, BOB]}]

    def write(text: str) -> None:
        patch = yaml.safe_dump({"data": {names.SETTINGS_KEY: text}})
        platform.run("patch", "configmap", names.SETTINGS_CONFIGMAP, "-n", SYSTEM, "--type=merge", f"--patch={patch}")

    def grant(users: str) -> None:
        platform.run("annotate", "namespace", TENANT, "--overwrite", f"{names.USERS_GRANT}={users}")

    try:
        write(yaml.safe_dump(settings))
        grant(ALICE)
        yield
    finally:
        grant("")
        write(found[names.SETTINGS_KEY])


@pytest.fixture(scope="module")
def answers(platform: PlatformCluster, members: None) -> Iterator[Answers]:
    """Ask what everybody is answered by Alice's installation, which the team's gateway pins."""
    tokens = [
        token("sharing-alice", TOKENS[ALICE], user=ALICE),
        token("sharing-bob", TOKENS[BOB], user=BOB),
        token("sharing-team", TOKENS[TEAM], team=TEAM),
    ]
    platform.apply(entry(NAME, command=["mcp-server-time"], transport="Stdio"), personal(), gateway(NAME, NAME), *tokens)
    platform.ready("mcpinstallation", NAME)
    platform.ready("mcpgateway", NAME)
    with forwarded(platform.node.kubectl, platform.node.kubeconfig, SYSTEM, "service/wharfinger-gateway", 80) as port:
        url = f"http://127.0.0.1:{port}/v1/mcp/{TENANT}.{NAME}"
        yield lambda: {who: call(url, text, TOOL, timezone="Europe/Berlin") for who, text in TOKENS.items()}
    platform.run("delete", "mcpgateway", NAME, "-n", TENANT)
    platform.run("delete", "mcptoken", "-n", SYSTEM, *(one["metadata"]["name"] for one in tokens))
    platform.remove(NAME)


@pytest.fixture
def served(platform: PlatformCluster, answers: Answers) -> Served:
    """Wait until these are served and nobody else. Each test begins with what Alice shares with nobody."""

    def come_to(*who: str) -> None:
        def are_served() -> bool:
            return {each for each, answer in answers().items() if "result" in answer and not answer["result"].get("isError")} == {*who}

        platform.until(are_served, explain=lambda: str(answers()))

    platform.apply(personal())
    # Ready is the operator's word; the gateway learns of an edit a moment later.
    come_to(ALICE)
    return come_to


def test_a_personal_installation_serves_its_owner_and_to_others_its_tools_are_unknown(served: Served, answers: Answers) -> None:
    served(ALICE)

    said = answers()
    assert [said[who].get("error") for who in (BOB, TEAM)] == [{"code": -32602, "message": f"Unknown tool {TOOL}"}] * 2


def test_shared_with_a_team_it_serves_the_teams_members_and_not_the_teams_own_tokens(platform: PlatformCluster, served: Served) -> None:
    platform.apply(personal(teams=[TEAM]))

    served(ALICE, BOB)


def test_lent_through_gateways_it_serves_whoever_may_use_the_gateway(platform: PlatformCluster, served: Served) -> None:
    platform.apply(personal(throughGateways=True))

    served(ALICE, BOB, TEAM)


def test_who_shares_restarts_nothing(platform: PlatformCluster, served: Served) -> None:
    server = ("deployment", names.server_name(TENANT, NAME), "-n", SERVERS)
    before = platform.get(*server)["metadata"]

    platform.apply(personal(teams=[TEAM], throughGateways=True))
    served(ALICE, BOB, TEAM)
    platform.ready("mcpinstallation", NAME)

    assert platform.get(*server)["metadata"]["generation"] == before["generation"]
