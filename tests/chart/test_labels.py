"""Labels are the users': every kind takes them, lists are filtered by them, and nothing of ours drops or forbids one."""

import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import Object, Scope
from wharfinger_crds import names
from wharfinger_crds.kinds import ENVIRONMENT, GATEWAY, GRANT, INSTALLATION, KINDS, REGISTRY_ENTRY, TOKEN, Kind

HASH = "sha256:" + "0" * 64
LABELS = {
    "tier": "gold",
    "empty": "",
    "team.acme.dev/cost-centre": "A_4711.b",
    "app.kubernetes.io/name": "github",
    "app.kubernetes.io/managed-by": "Helm",
    "app.kubernetes.io/instance": "catalogue",
    "kubernetes.io/metadata.name": "x",
    names.USABLE: "true",
    names.INSTALLATION_ID: "x",
    "l" * 63: "v" * 63,
    f"{'d' * 63}.{'d' * 63}.{'d' * 63}.{'d' * 61}/{'n' * 63}": "long",
    **{f"label-{i}": str(i) for i in range(100)},
}
"""Also those that our own children carry: on a user's object they mean nothing."""
SPECS: dict[Kind, dict[str, Any]] = {
    REGISTRY_ENTRY: {"title": "X", "type": "Remote", "remote": {"url": "https://mcp.invalid/mcp"}},
    ENVIRONMENT: {"title": "X", "egress": {"mode": "DenyAll"}},
    INSTALLATION: {"entryRef": {"name": "github"}, "owner": {"team": "engineering"}},
    GATEWAY: {
        "title": "X",
        "visibility": {"scope": "Team", "teams": ["engineering"]},
        "authentication": {"bearerTokens": {"enabled": True}},
    },
    TOKEN: {"subject": {"team": "engineering"}, "tokenHash": HASH, "gateways": ["a.b"]},
    GRANT: {
        "user": "okta:alice",
        "client": {"name": "x", "digest": "0" * 32},
        "gateway": "a.b",
        "subject": {
            "identityProvider": "okta",
            "issuer": "https://okta.example",
            "subject": "x",
            "authenticatedAt": "2026-01-01T00:00:00Z",
        },
        "expiresAt": "2030-01-01T00:00:00Z",
        "seal": "0",
    },
}


@pytest.fixture
async def labelled(request: pytest.FixtureRequest, tenant: str, cluster: Cluster) -> AsyncIterator[tuple[Kind, Object]]:
    """Objects of a kind, with the chart's policies in force: one with all the labels, one with none."""
    kind: Kind = request.param
    name, place = f"test-{secrets.token_hex(4)}", {"namespace": tenant} if kind.namespaced else {}
    made = []
    for suffix, labels in (("a", {**LABELS, "test": name}), ("b", {})):
        meta = {"name": f"{name}-{suffix}", "labels": labels, **place}
        made.append(await cluster.create(kind_resource(kind), {"metadata": meta, "spec": SPECS[kind]}))
    yield kind, made[0]
    for one in made:
        await cluster.delete(kind_resource(kind), one["metadata"]["name"], place.get("namespace"))


@pytest.mark.requirement("REG-8")
@pytest.mark.parametrize("labelled", KINDS, ids=lambda kind: kind.kind, indirect=True)
async def test_every_kind_takes_any_label_and_is_listed_by_it(labelled: tuple[Kind, Object], cluster: Cluster) -> None:
    kind, found = labelled
    meta = found["metadata"]

    assert meta["labels"] == {**LABELS, "test": meta["labels"]["test"]}
    assert kind.model.parse(found).metadata.labels == meta["labels"]
    for key, value in LABELS.items():
        for selector in (f"{key}={value}", f"{key} in ({value},none-of-these)"):
            listed = await cluster.list(
                kind_resource(kind), Scope(meta.get("namespace"), labels=f"test={meta['labels']['test']},{selector}")
            )
            assert [one["metadata"]["name"] for one in listed] == [meta["name"]], selector
    others = await cluster.list(
        kind_resource(kind), Scope(meta.get("namespace"), labels=f"test={meta['labels']['test']},tier notin (gold)")
    )
    assert others == ()


@pytest.mark.requirement("REG-8")
@pytest.mark.parametrize("labelled", KINDS, ids=lambda kind: kind.kind, indirect=True)
async def test_labels_outlive_what_the_operator_writes_and_are_changed_by_their_user_alone(
    labelled: tuple[Kind, Object], cluster: Cluster
) -> None:
    kind, found = labelled
    resource, meta = kind_resource(kind), found["metadata"]
    name, place = meta["name"], {"namespace": meta["namespace"]} if kind.namespaced else {}

    status = {"metadata": {"name": name, **place}, "status": {"observedGeneration": 1, "conditions": []}}
    written = await cluster.apply(resource, status, subresource="status")
    assert written["metadata"]["labels"] == meta["labels"]

    changed = await cluster.patch(resource, name, {"metadata": {"labels": {"tier": "silver", "empty": None}}}, place.get("namespace"))
    assert changed["metadata"]["labels"] == {**{k: v for k, v in meta["labels"].items() if k != "empty"}, "tier": "silver"}
    assert changed["metadata"]["generation"] == meta["generation"]
