"""A restricted environment says whether admission checks who comes in, and follows the policy as it comes and goes."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from operator_platform import Platform, until
from operator_process import OperatorProcess
from wharfinger_cluster.errors import NotFound
from wharfinger_cluster.resource import VALIDATING_ADMISSION_POLICY, VALIDATING_ADMISSION_POLICY_BINDING
from wharfinger_crds import names
from wharfinger_crds.kinds import ENVIRONMENT

BOTH = (VALIDATING_ADMISSION_POLICY, VALIDATING_ADMISSION_POLICY_BINDING)
RULE = {"apiGroups": [names.GROUP], "apiVersions": ["*"], "resources": ["mcpregistryentries"], "operations": ["CREATE"]}


@pytest.fixture
async def policy(platform: Platform) -> AsyncIterator[None]:
    """A policy of the name that the chart's has, with its binding; that of an installed chart where there is one."""
    made = []
    specs: list[dict[str, Any]] = [
        {"matchConstraints": {"resourceRules": [RULE]}, "validations": [{"expression": "true"}]},
        {"policyName": names.RESTRICTED_ASSIGNMENT, "validationActions": ["Deny"]},
    ]
    for resource, spec in zip(BOTH, specs, strict=True):
        try:
            await platform.cluster.get(resource, names.RESTRICTED_ASSIGNMENT)
        except NotFound:
            made.append(resource)
            await platform.cluster.create(resource, {"metadata": {"name": names.RESTRICTED_ASSIGNMENT}, "spec": spec})
    yield
    for resource in reversed(made):
        with suppress(NotFound):
            await platform.cluster.delete(resource, names.RESTRICTED_ASSIGNMENT)


async def acts(platform: Platform, *actions: str) -> None:
    change = {"spec": {"validationActions": list(actions)}}
    await platform.cluster.patch(VALIDATING_ADMISSION_POLICY_BINDING, names.RESTRICTED_ASSIGNMENT, change)


@pytest.mark.requirement("ENV-2")
async def test_the_status_follows_whether_admission_refuses(policy: None, platform: Platform, operator: OperatorProcess) -> None:
    name = f"env-{platform.mark}"

    async def is_ready(status: str) -> bool:
        return (await platform.ready(ENVIRONMENT, name)).get("status") == status

    await platform.apply(ENVIRONMENT, name, {"title": "X", "restricted": True, "egress": {"mode": "DenyAll"}})
    await until(lambda: is_ready("True"))

    await acts(platform, "Audit")
    await until(lambda: is_ready("False"))
    ready = await platform.ready(ENVIRONMENT, name)
    assert ready["reason"] == "AdmissionMissing"
    assert names.RESTRICTED_ASSIGNMENT in ready["message"]

    await acts(platform, "Deny")
    await until(lambda: is_ready("True"))
