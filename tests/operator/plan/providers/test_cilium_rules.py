"""What Cilium's own code says of the policies that are made for it: the checks of its agent, which its schemas do not have."""

import copy
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from golden import cases
from local_cluster import binaries
from local_cluster.progress import LaunchError
from provider_fence import Manifest, scene_of

CASES = cases(__file__)
Judge = Callable[[list[Manifest]], list[str]]


@pytest.fixture(scope="module")
def judge() -> Judge:
    """Return what the agent would say of each policy, empty where it takes it."""
    try:
        program = binaries.build(binaries.CILIUM_RULES)
    except LaunchError as missing:
        pytest.skip(f"Cilium's rules cannot be built: {missing}")

    def ask(policies: list[Manifest]) -> list[str]:
        done = subprocess.run([str(program)], input=json.dumps(policies), capture_output=True, text=True, check=True, timeout=60)
        said: list[str] = json.loads(done.stdout)
        return said

    return ask


def made(case: Path) -> list[Manifest]:
    return [policy for policy in scene_of(case).policies("Cilium") if policy["kind"] == "CiliumNetworkPolicy"]


@pytest.mark.requirement("ENV-3", "ENV-5")
def test_cilium_s_agent_takes_every_policy(judge: Judge) -> None:
    policies = [policy for case in CASES for policy in made(case)]

    assert len(policies) >= len(CASES)
    assert judge(policies) == [""] * len(policies)


def broken(change: Callable[[dict[str, Any]], None]) -> Manifest:
    (policy,) = made(next(case for case in CASES if case.name == "restricted-domains.in.yaml"))
    changed = copy.deepcopy(policy)
    change(changed["spec"])
    return changed


def rule_with(spec: dict[str, Any], peer: str) -> dict[str, Any]:
    found: dict[str, Any] = next(rule for rule in spec["egress"] if peer in rule)
    return found


def test_cilium_s_agent_refuses_what_the_schema_accepts(judge: Judge) -> None:
    """Else the test above would show nothing."""
    wrong = [
        broken(lambda spec: rule_with(spec, "toFQDNs").update(toCIDR=["203.0.113.0/24"])),
        broken(
            lambda spec: rule_with(spec, "toFQDNs")["toPorts"][0]["ports"].extend({"port": str(p), "protocol": "TCP"} for p in range(1, 42))
        ),
        broken(lambda spec: rule_with(spec, "toFQDNs")["toFQDNs"].append({"matchName": "*.acme.dev"})),
        broken(lambda spec: spec.update(egress=[])),
    ]

    said = judge(wrong)

    assert all(said), said
