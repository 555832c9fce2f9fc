"""Whose installations an environment takes: admission and operator decide alike, whoever writes."""

import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest

from manifest_world import SETTINGS
from operator_platform import until
from refusal import is_granted, refusal, refused_with
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import NAMESPACE, Object
from wharfinger_crds import names
from wharfinger_crds.environment import Environment
from wharfinger_crds.installation import Installation
from wharfinger_crds.kinds import ENVIRONMENT, INSTALLATION
from wharfinger_operator.plan.installation_checks import namespace_not_allowed
from wharfinger_operator.world import InstallationWorld

ALLOWED: list[dict[str, Any] | None] = [
    None,
    {},
    {"names": []},
    {"names": ["THIS"]},
    {"names": ["other", "THIS"]},
    {"names": ["other"]},
    {"selector": {}},
    {"selector": {"stage": "prod"}},
    {"selector": {"stage": ""}},
    {"selector": {"stage": "prod", "tier": "one"}},
    {"names": ["other"], "selector": {"stage": "prod"}},
    {"names": ["THIS"], "selector": {"stage": "dev"}},
]
"""THIS stands for the namespace that is asked about."""
LABELS: list[dict[str, str]] = [{}, {"stage": "prod"}, {"stage": "Prod"}, {"stage": ""}, {"stage": "prod", "tier": "one"}, {"tier": "prod"}]
WORDS = "does not allow installations of namespace"


def installation(namespace: str, environment: str | None) -> Object:
    named = {"environmentRef": {"name": environment}} if environment else {}
    spec = {"entryRef": {"name": "github"}, "owner": {"team": "engineering"}, **named}
    return {"metadata": {"name": "bot", "namespace": namespace}, "spec": spec}


async def makes(cluster: Cluster, mark: str, spec: dict[str, Any]) -> Object:
    meta = {"name": f"test-{mark}-{secrets.token_hex(3)}"}
    return await cluster.create(
        kind_resource(ENVIRONMENT), {"metadata": meta, "spec": {"title": "X", "egress": {"mode": "DenyAll"}, **spec}}
    )


@pytest.fixture
async def namespaces(policies: list[str], cluster: Cluster) -> AsyncIterator[dict[str, dict[str, str]]]:
    """A tenant with each row of LABELS."""
    made = {policies.pop(): labels for labels in LABELS}
    for name, labels in made.items():
        await cluster.create(NAMESPACE, {"metadata": {"name": name, "labels": labels, "annotations": {names.TEAMS_GRANT: "*"}}})
    yield made
    for name in made:
        await cluster.delete(NAMESPACE, name)


@pytest.fixture
async def mark(cluster: Cluster) -> AsyncIterator[str]:
    """What names of environments have; those that do are taken away."""
    made = secrets.token_hex(3)
    yield made
    for found in await cluster.list(kind_resource(ENVIRONMENT)):
        if found["metadata"]["name"].startswith(f"test-{made}-"):
            await cluster.delete(kind_resource(ENVIRONMENT), found["metadata"]["name"])


@pytest.mark.requirement("ENV-1")
async def test_admission_and_operator_allow_the_same_namespaces(namespaces: dict[str, dict[str, str]], mark: str, cluster: Cluster) -> None:
    cases = []
    for namespace, labels in namespaces.items():
        for allowed in ALLOWED:
            listed = (
                {**allowed, "names": [namespace if n == "THIS" else n for n in allowed.get("names", [])]} if allowed is not None else None
            )
            cases.append((namespace, labels, await makes(cluster, mark, {"allowedNamespaces": listed} if listed is not None else {})))
    nobody = (await makes(cluster, mark, {"allowedNamespaces": {"names": ["nobody"]}}))["metadata"]["name"]
    resource, anywhere = kind_resource(INSTALLATION), next(iter(namespaces))
    await until(lambda: refused_with(cluster.create(resource, installation(anywhere, nobody), dry_run=True), WORDS))

    disagreements, granted = [], 0
    for namespace, labels, found in cases:
        environment, body = Environment.parse(found), installation(namespace, found["metadata"]["name"])
        world = InstallationWorld(
            namespace=namespace, name="bot", installation=Installation.parse(body), settings=SETTINGS,
            environments={environment.metadata.name: environment}, namespace_labels={**labels, "kubernetes.io/metadata.name": namespace},
        )  # fmt: skip
        expected = namespace_not_allowed(world, Installation.parse(body))
        said = await refusal(cluster.create(resource, body, dry_run=True))
        granted += said is None
        if (expected is None) != (said is None) or (expected and expected.message not in (said or "")):
            disagreements.append((labels, found["spec"], expected, said))

    assert disagreements == []
    assert 20 < granted < len(cases) - 20


@pytest.mark.requirement("ENV-1")
async def test_an_installation_cannot_be_moved_to_an_environment_that_does_not_allow_its_namespace(
    tenant: str, mark: str, cluster: Cluster
) -> None:
    closed = (await makes(cluster, mark, {"allowedNamespaces": {"names": ["nobody"]}}))["metadata"]["name"]
    resource = kind_resource(INSTALLATION)
    await until(lambda: refused_with(cluster.create(resource, installation(tenant, closed), dry_run=True), WORDS))

    await cluster.create(resource, installation(tenant, None))

    assert await refused_with(cluster.patch(resource, "bot", {"spec": {"environmentRef": {"name": closed}}}, tenant), WORDS)
    assert await is_granted(cluster.patch(resource, "bot", {"spec": {"environmentRef": {"name": "other"}}}, tenant))


@pytest.mark.requirement("ENV-1")
async def test_what_was_allowed_once_can_still_be_labelled_and_moved_away(tenant: str, mark: str, cluster: Cluster) -> None:
    made = (await makes(cluster, mark, {"allowedNamespaces": {"names": [tenant]}}))["metadata"]["name"]
    resource = kind_resource(INSTALLATION)
    await until(lambda: is_granted(cluster.create(resource, installation(tenant, made), dry_run=True)))
    await cluster.create(resource, installation(tenant, made))
    await cluster.patch(kind_resource(ENVIRONMENT), made, {"spec": {"allowedNamespaces": {"names": ["nobody"]}}})
    await until(lambda: refused_with(cluster.patch(resource, "bot", {"spec": {"suspend": True}}, tenant), WORDS))

    assert await is_granted(cluster.patch(resource, "bot", {"metadata": {"labels": {"a": "b"}}}, tenant))
    assert await is_granted(cluster.patch(resource, "bot", {"spec": {"environmentRef": None}}, tenant))
