"""What an installation causes: a manifest in, objects and conditions out."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from golden import Golden, cases, manifests
from manifest_world import NOW, answered, installation_world, readable
from wharfinger_operator.plan.installation import plan_installation
from wharfinger_operator.status import installation_status

CASES = cases(__file__)


def outcome(case: Path) -> dict[str, Any]:
    world = answered(installation_world(manifests(case)))
    plan = plan_installation(world)
    status = installation_status(world, plan, NOW)
    assert status is not None
    shown = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    for condition in shown["conditions"]:
        del condition["lastTransitionTime"], condition["observedGeneration"]
    return {"status": shown, "objects": None if plan.desired is None else [readable(o) for o in plan.desired]}


@pytest.mark.requirement("REG-1", "REG-2", "REG-3", "REG-4", "REG-5", "INS-2", "ORC-1", "ORC-3", "ORC-4", "ORC-5", "ENV-4", "ENV-7")
def test_plan_matches_its_golden_file(case: Path, golden: Golden) -> None:
    golden(outcome(case))


def every_object(kind: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for case in CASES:
        plan = plan_installation(answered(installation_world(manifests(case))))
        found += [(case.stem, o) for o in plan.desired or () if o["kind"] == kind]
    return found


@pytest.mark.requirement("ORC-8")
@pytest.mark.parametrize(("origin", "deployment"), every_object("Deployment"))
def test_every_server_is_hardened(origin: str, deployment: dict[str, Any]) -> None:
    pod = deployment["spec"]["template"]["spec"]

    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == deployment["metadata"]["name"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] >= (1000 if origin == "installation-override.in" else 10000)
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert all(set(volume) - {"name"} <= {"emptyDir", "secret"} for volume in pod["volumes"])
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True or container["resources"]["limits"]["ephemeral-storage"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]


@pytest.mark.requirement("REG-5")
def test_secret_values_stand_in_secrets_and_nowhere_else(case: Path) -> None:
    planted = [value for d in manifests(case) if d["kind"] == "Secret" for value in d["stringData"].values()]
    world = answered(installation_world(manifests(case)))
    plan = plan_installation(world)
    visible = (
        yaml.safe_dump([o for o in plan.desired or () if o["kind"] != "Secret"])
        + repr(world)
        + repr(plan)
        + repr(installation_status(world, plan, NOW))
    )

    assert not [value for value in planted if value in visible]


@pytest.mark.requirement("ENV-4", "ENV-7")
@pytest.mark.parametrize(("origin", "policy"), every_object("NetworkPolicy"))
def test_every_policy_is_closed_both_ways_and_has_no_empty_list(origin: str, policy: dict[str, Any]) -> None:
    spec = policy["spec"]

    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert list(spec["podSelector"]["matchLabels"]) == ["wharfinger.dev/installation-id"]
    assert "[]" not in yaml.safe_dump(spec, default_flow_style=False)
    assert all("from" in rule and "ports" in rule for rule in spec["ingress"])


def test_policies_come_before_the_pods_that_they_fence(case: Path) -> None:
    kinds = [o["kind"] for o in plan_installation(installation_world(manifests(case))).desired or ()]

    if "Deployment" in kinds:
        assert kinds.index("NetworkPolicy") < kinds.index("Deployment")
        assert kinds.index("Secret") < kinds.index("Deployment")
