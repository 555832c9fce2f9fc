"""The probe of an environment, with pods whose states the test writes: a cluster without nodes runs none."""

from functools import partial
from typing import Any

import pytest

from operator_platform import Platform, until
from operator_process import OperatorProcess
from wharfinger_cluster.resource import JOB, NETWORK_POLICY, POD, Object, Scope
from wharfinger_crds.kinds import ENVIRONMENT

PROBES = "wharfinger.dev/probe"


async def pods(platform: Platform) -> dict[str, Object]:
    found = await platform.cluster.list(POD, Scope(platform.spaces.servers, labels=PROBES))
    return {pod["metadata"]["labels"]["wharfinger.dev/probe-role"]: pod for pod in found}


async def has_pods(platform: Platform, *roles: str) -> dict[str, Object] | None:
    found = await pods(platform)
    return found if sorted(found) == sorted(roles) else None


async def says(platform: Platform, pod: Object, state: dict[str, Any], *, ready: bool = False) -> None:
    container = {"name": "egress-probe", "image": "x", "imageID": "", "restartCount": 0, "ready": ready, "state": state}
    phase = "Running" if ready else "Succeeded"
    status = {"phase": phase, "podIP": "10.1.2.3", "podIPs": [{"ip": "10.1.2.3"}], "containerStatuses": [container]}
    await platform.cluster.patch(POD, pod["metadata"]["name"], {"status": status}, platform.spaces.servers, subresource="status")


async def answered(platform: Platform, control: str, treatment: str) -> None:
    """Let the pods of the run that is under way say these words."""
    target = (await until(lambda: has_pods(platform, "target")))["target"]
    await says(platform, target, {"running": {"startedAt": "2026-01-01T00:00:00Z"}}, ready=True)
    both = await until(lambda: has_pods(platform, "target", "control", "treatment"))
    policies = await platform.cluster.list(NETWORK_POLICY, Scope(platform.spaces.servers, labels=PROBES))
    assert sorted(p["metadata"]["labels"]["wharfinger.dev/probe-role"] for p in policies) == ["control", "target", "treatment"]
    for role, word in (("control", control), ("treatment", treatment)):
        assert both[role]["spec"]["containers"][0]["command"][-1] == "10.1.2.3"
        await says(platform, both[role], {"terminated": {"exitCode": 0, "reason": "Completed", "message": word}})


async def enforced(platform: Platform) -> tuple[str, str]:
    found = await platform.get(ENVIRONMENT, f"env-{platform.mark}") or {}
    said = {c["type"]: c for c in found.get("status", {}).get("conditions", [])}.get("EgressEnforced", {})
    return said.get("status", ""), said.get("reason", "")


async def is_enforced(platform: Platform, expected: tuple[str, str]) -> bool:
    return await enforced(platform) == expected


async def nothing_is_left(platform: Platform) -> bool:
    scope = Scope(platform.spaces.servers, labels=PROBES)
    jobs = await platform.cluster.list(JOB, Scope(platform.spaces.servers))
    return not jobs and not await platform.cluster.list(POD, scope) and not await platform.cluster.list(NETWORK_POLICY, scope)


@pytest.mark.requirement("ENV-6")
@pytest.mark.parametrize(
    ("control", "treatment", "expected"),
    [
        ("reached", "blocked", ("True", "ProbePassed")),
        ("reached", "reached", ("False", "ProbeFailed")),
        ("blocked", "blocked", ("Unknown", "ProbeInconclusive")),
    ],
)
async def test_a_probe_s_verdict_is_what_its_pods_have_seen_and_nothing_of_it_stays(
    control: str, treatment: str, expected: tuple[str, str], platform: Platform, operator: OperatorProcess
) -> None:
    await platform.environment(probe="On")
    await answered(platform, control, treatment)

    await until(partial(is_enforced, platform, expected))
    await until(partial(nothing_is_left, platform), 60)


@pytest.mark.requirement("ENV-6")
async def test_a_verdict_is_kept_by_a_restarted_operator_and_asked_anew_after_an_edit(platform: Platform) -> None:
    first = await platform.operator()
    await platform.environment(probe="On")
    await answered(platform, "reached", "blocked")
    await until(partial(is_enforced, platform, ("True", "ProbePassed")))
    await until(partial(nothing_is_left, platform), 60)
    await first.stop()

    second = await platform.operator()
    try:
        await until(second.leads, 60)
        await second.settled()
        assert await second.writes() == 0
        assert await enforced(platform) == ("True", "ProbePassed")

        await platform.environment(mode="AllowAll", probe="On")
        await answered(platform, "reached", "reached")
        await until(partial(is_enforced, platform, ("False", "ProbeFailed")))
    finally:
        await second.stop()


@pytest.mark.requirement("ENV-6")
async def test_a_probe_that_is_not_wanted_any_more_is_taken_away(platform: Platform, operator: OperatorProcess) -> None:
    await platform.environment(probe="On")
    await until(partial(has_pods, platform, "target"))

    await platform.environment(probe="Off")

    await until(partial(nothing_is_left, platform), 60)
    await until(partial(is_enforced, platform, ("Unknown", "NoEvidence")))
