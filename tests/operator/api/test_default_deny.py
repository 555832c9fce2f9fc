"""The policy that closes a server namespace belongs to whoever applied the chart; the operator says when it is missing."""

from functools import partial
from typing import Any

import pytest

from operator_platform import Platform, until
from operator_process import OperatorProcess
from wharfinger_cluster.resource import NETWORK_POLICY, Object
from wharfinger_crds.kinds import ENVIRONMENT

CLOSED: Object = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


async def _says(platform: Platform, status: str, reason: str) -> bool:
    found = await platform.get(ENVIRONMENT, f"env-{platform.mark}") or {}
    conditions: list[dict[str, Any]] = found.get("status", {}).get("conditions", [])
    return any((c["type"], c["status"], c["reason"]) == ("EgressEnforced", status, reason) for c in conditions)


async def _write(platform: Platform, spec: Object) -> None:
    meta = {"name": "default-deny", "namespace": platform.spaces.servers}
    await platform.cluster.apply(NETWORK_POLICY, {"metadata": meta, "spec": spec})


@pytest.mark.requirement("ENV-4")
async def test_an_environment_says_that_its_namespace_has_lost_its_default_deny(platform: Platform, operator: OperatorProcess) -> None:
    missing, there = partial(_says, platform, "False", "DefaultDenyMissing"), partial(_says, platform, "Unknown", "NoEvidence")
    await platform.install()
    await until(there)

    opened: list[Object] = [
        {**CLOSED, "podSelector": {"matchLabels": {"app": "other"}}},
        {**CLOSED, "policyTypes": ["Ingress"]},
        {**CLOSED, "egress": [{}]},
    ]
    for spec in opened:
        await _write(platform, spec)
        await until(missing)
        await _write(platform, CLOSED)
        await until(there)

    await platform.cluster.delete(NETWORK_POLICY, "default-deny", platform.spaces.servers)
    await until(missing)
    assert [o["metadata"]["name"] for o in await platform.children() if o["metadata"]["name"] == "default-deny"] == []
