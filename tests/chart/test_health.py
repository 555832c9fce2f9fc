"""Argo CD's health of our objects, in Lua 5.1 as Argo CD runs it, beside kstatus: both read every status alike."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from argo_health import CONFIG, expected, health, key, objection
from golden import cases, manifests
from manifest_world import NOW, SETTINGS
from wharfinger_crds import conditions as c
from wharfinger_crds.environment import Environment
from wharfinger_crds.gateway import Gateway
from wharfinger_crds.grants import NamespaceGrants
from wharfinger_crds.kinds import ENVIRONMENT, GATEWAY, GRANT, INSTALLATION, KINDS, REGISTRY_ENTRY, TOKEN, Kind
from wharfinger_crds.registry_entry import RegistryEntry
from wharfinger_crds.token import Token
from wharfinger_operator.plan.entry import entry_status
from wharfinger_operator.plan.environment import environment_status
from wharfinger_operator.plan.gateway import gateway_status
from wharfinger_operator.plan.token import token_status
from wharfinger_operator.world import EntryWorld, EnvironmentWorld, GatewayWorld, TokenWorld

GOLDEN = Path(__file__).parents[1] / "operator/plan/test_plan.py"
META = {"name": "x", "namespace": "team-a", "uid": "1", "generation": 3}
REMOTE = {"title": "X", "type": "Remote", "remote": {"url": "https://mcp.invalid/mcp"}}
Object = dict[str, Any]


def environments() -> Iterator[Object]:
    for spec, defaults in (
        ({}, ("x",)),
        ({"default": True}, ("x", "y")),
        ({"namespace": "elsewhere"}, ("x",)),
        ({"restricted": True}, ("x",)),
        ({"egress": {"mode": "Restricted", "domains": [{"name": "a.test"}]}}, ("x",)),
    ):
        whole = {"title": "X", "egress": {"mode": "DenyAll"}, **spec}
        for closed in (True, False):
            world = EnvironmentWorld(Environment.parse({"metadata": META, "spec": whole}), defaults, (), SETTINGS, closed)
            yield shown(whole, environment_status(world, NOW))


def entries() -> Iterator[Object]:
    for spec in (REMOTE, {**REMOTE, "fields": [{"name": "a", "type": "String", "pattern": "(?=x)"}]}):
        entry = RegistryEntry.parse({"metadata": META, "spec": spec})
        yield shown(spec, entry_status(EntryWorld(entry, (), {}), NOW))


def gateways() -> Iterator[Object]:
    tool = {"installationRef": {"name": "gone"}, "prefix": "x", "include": ["a"]}
    for grants in (None, NamespaceGrants(), NamespaceGrants(organization=True)):
        variants: tuple[Object, ...] = ({}, {"tools": [tool]}, {"authentication": {}})
        for more in variants:
            spec = {"title": "X", "visibility": {"scope": "Org"}, "authentication": {"bearerTokens": {"enabled": True}}, **more}
            world = GatewayWorld(Gateway.parse({"metadata": META, "spec": spec}), SETTINGS, grants, (), {}, {})
            yield shown(spec, gateway_status(world, NOW))


def tokens() -> Iterator[Object]:
    for spec, system, same in (
        ({}, "team-a", 1),
        ({}, "other", 1),
        ({"disabled": True}, "team-a", 1),
        ({"expiresAt": NOW}, "team-a", 1),
        ({}, "team-a", 2),
    ):
        whole = {"subject": {"team": "a"}, "tokenHash": "sha256:" + "0" * 64, "gateways": ["a.b"], **spec}
        yield shown(whole, token_status(TokenWorld(Token.parse({"metadata": META, "spec": whole}), system, same, NOW), NOW))


def installations() -> Iterator[Object]:
    for case in cases(str(GOLDEN)):
        status = yaml.safe_load(case.with_name(case.name.replace(".in.", ".out.")).read_text())["status"]
        spec = next(d["spec"] for d in manifests(case) if d["kind"] == INSTALLATION.kind)
        yield {"metadata": {**META, "generation": status["observedGeneration"]}, "spec": spec, "status": status}


def shown(spec: Object, status: Any) -> Object:
    return {"metadata": META, "spec": spec, "status": status.model_dump(mode="json", by_alias=True, exclude_none=True)}


CORPUS = [
    *((ENVIRONMENT, one) for one in environments()),
    *((REGISTRY_ENTRY, one) for one in entries()),
    *((GATEWAY, one) for one in gateways()),
    *((TOKEN, one) for one in tokens()),
    *((INSTALLATION, one) for one in installations()),
]


def test_every_kind_that_people_write_has_a_health_script() -> None:
    assert CONFIG.keys() == {key(kind) for kind in KINDS if kind is not GRANT}


@pytest.mark.requirement("OPS-1")
@pytest.mark.parametrize(("kind", "found"), CORPUS)
def test_argo_cd_and_kstatus_read_what_the_operator_writes_alike(kind: Kind, found: Object) -> None:
    assert objection(kind, found) is None


def test_the_statuses_that_are_tried_are_of_every_sort() -> None:
    assert {expected(found) for _, found in CORPUS} == {"Healthy", "Degraded", "Progressing", "Suspended"}


STATES = st.sampled_from(["True", "False", "Unknown"])


@given(
    kind=st.sampled_from([kind for kind in KINDS if kind is not GRANT]),
    ready=STATES,
    others=st.dictionaries(st.sampled_from([c.RECONCILING, c.STALLED, c.ACCEPTED, c.DISCOVERED]), STATES),
    generation=st.integers(1, 2),
    suspend=st.booleans(),
    deleted=st.booleans(),
)
def test_argo_cd_and_kstatus_agree_on_any_conditions(
    kind: Kind, ready: str, others: dict[str, str], generation: int, *, suspend: bool, deleted: bool
) -> None:
    conditions = [{"type": name, "status": state, "reason": "A", "message": "b"} for name, state in {c.READY: ready, **others}.items()]
    metadata = {"generation": generation, **({"deletionTimestamp": NOW} if deleted else {})}
    found = {"metadata": metadata, "spec": {"suspend": suspend}, "status": {"observedGeneration": 1, "conditions": conditions}}

    assert objection(kind, found) is None


@pytest.mark.parametrize("status", [{"observedGeneration": -1}, {}, None])
def test_what_nobody_has_seen_yet_is_in_progress(status: Object | None) -> None:
    found = {"metadata": META, "spec": {}, **({} if status is None else {"status": status})}

    assert health(INSTALLATION, found)[0] == "Progressing"
