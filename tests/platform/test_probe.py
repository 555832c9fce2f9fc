"""The probe of an environment in a cluster that runs pods and whose network enforces policies."""

from collections.abc import Iterator
from typing import Any

import pytest

from platform_cluster import SERVERS, TENANT, PlatformCluster, installation
from wharfinger_crds import names

NAME = "probed"


def environment(**egress: Any) -> dict[str, Any]:
    spec = {"title": NAME, "egress": {"mode": "DenyAll", "enforcement": "Require", **egress}}
    return {"apiVersion": names.API_VERSION, "kind": "Environment", "metadata": {"name": NAME}, "spec": spec}


def probed_entry() -> dict[str, Any]:
    hosted = {"command": ["mcp-server-time"], "transport": "Stdio"}
    spec = {"title": NAME, "type": "SelfHosted", "environmentRef": {"name": NAME}, "selfHosted": hosted}
    return {"apiVersion": names.API_VERSION, "kind": "McpRegistryEntry", "metadata": {"name": NAME}, "spec": spec}


def enforced(platform: PlatformCluster) -> tuple[str, str]:
    conditions = platform.get(f"environment.{names.GROUP}", NAME).get("status", {}).get("conditions", [])
    found = {c["type"]: c for c in conditions}.get("EgressEnforced", {})
    return found.get("status", ""), found.get("reason", "")


@pytest.fixture
def probed(platform: PlatformCluster) -> Iterator[PlatformCluster]:
    yield platform
    platform.remove(NAME)
    platform.until(lambda: not platform.get(f"environment.{names.GROUP}", NAME).get("status", {}).get("installations"))
    platform.run("delete", f"environment.{names.GROUP}", NAME, "--ignore-not-found")


@pytest.mark.requirement("ENV-6")
def test_a_server_that_requires_enforcement_starts_when_a_probe_has_passed_and_nothing_of_the_probe_stays(probed: PlatformCluster) -> None:
    probed.apply(environment(), probed_entry(), installation(NAME, NAME))
    probed.until(
        lambda: any(c["reason"] == "Waiting" and "EgressEnforced" in c["message"] for c in probed.status(NAME).get("conditions", [])),
        explain=lambda: probed.run("get", "mcpinstallation", NAME, "-n", TENANT, "-o", "yaml"),
    )

    probed.apply(environment(probe="On"))

    probed.until(
        lambda: enforced(probed) == ("True", "ProbePassed"),
        seconds=150,
        explain=lambda: (
            probed.run("get", f"environment.{names.GROUP}", NAME, "-o", "yaml")
            + probed.run("get", "jobs,pods", "-n", SERVERS, "-o", "wide")
        ),
    )
    probed.ready("mcpinstallation", NAME)
    selector = f"{names.GROUP}/probe"
    probed.until(lambda: not probed.get("jobs,pods,networkpolicies", "-n", SERVERS, "-l", selector).get("items"))
