"""Service accounts of the cluster as callers, as a real API server knows them."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from faulty_proxy import FaultyProxy, anything
from hostile_identity_provider import Clock
from impersonation import as_user
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.connection import Login
from wharfinger_cluster.resource import POD, SERVICE_ACCOUNT, Resource
from wharfinger_crds.settings import ServiceAccount
from wharfinger_oauth.service_account import BELIEVED, ServiceAccounts, is_service_account_token
from wharfinger_oauth.unavailable import Unavailable

URL = "https://gateway.example/v1/mcp/team-a.tools"
AUDIENCES = (URL, "https://gateway.example")
REVIEWS = "tokenreviews"
RBAC = "rbac.authorization.k8s.io"
CLUSTER_ROLE = Resource(RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDING = Resource(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False)


@pytest.fixture
async def proxy(admin: Login) -> AsyncIterator[FaultyProxy]:
    async with FaultyProxy(admin) as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def accounts(proxy: FaultyProxy, clock: Clock) -> AsyncIterator[ServiceAccounts]:
    async with Cluster(Login(server=proxy.url)) as through:
        made = ServiceAccounts(through, clock=clock)
        yield made
        made.close()


@pytest.fixture
async def agent(cluster: Cluster, namespace: str) -> ServiceAccount:
    await cluster.create(SERVICE_ACCOUNT, {"metadata": {"name": "agent", "namespace": namespace}})
    return ServiceAccount(namespace=namespace, name="agent")


async def token(admin: Login, account: ServiceAccount, *audiences: str, pod: str = "") -> str:
    spec: dict[str, Any] = {"audiences": list(audiences)}
    if pod:
        spec["boundObjectRef"] = {"kind": "Pod", "apiVersion": "v1", "name": pod}
    path = f"/api/v1/namespaces/{account.namespace}/serviceaccounts/{account.name}/token"
    async with admin.session() as session, session.post(f"{admin.server}{path}", json={"kind": "TokenRequest", "spec": spec}) as answer:
        found: dict[str, Any] = await answer.json()
    return str(found["status"]["token"])


async def once_allowed(gateway: Cluster, bearer: str) -> ServiceAccount | None:
    """Ask until the authorizer has heard of a binding, which takes it a moment."""
    async with asyncio.timeout(15):
        while True:
            found = await ServiceAccounts(gateway).identify(bearer, AUDIENCES)
            if not isinstance(found, Unavailable):
                return found
            await asyncio.sleep(0.05)


def forged(subject: str = "system:serviceaccount:team-a:agent", audience: str = URL) -> str:
    parts = ({"alg": "RS256", "kid": "k"}, {"sub": subject, "aud": [audience]})
    return ".".join([*(base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in parts), "AAAA"])


@pytest.mark.requirement("AUT-7")
async def test_a_token_that_was_made_for_the_gateway_is_its_service_account(
    accounts: ServiceAccounts, admin: Login, agent: ServiceAccount
) -> None:
    for audience in AUDIENCES:
        assert await accounts.identify(await token(admin, agent, audience), AUDIENCES) == agent


@pytest.mark.requirement("AUT-7")
async def test_a_token_for_anybody_else_is_nobody_and_not_shown_to_the_api_server(
    accounts: ServiceAccounts, admin: Login, agent: ServiceAccount, proxy: FaultyProxy
) -> None:
    others = [await token(admin, agent), await token(admin, agent, "https://gateway.example/v1/mcp/team-a.other")]

    assert [await accounts.identify(one, AUDIENCES) for one in others] == [None, None]
    assert await accounts.identify(await token(admin, agent, URL), ()) is None
    assert proxy.count(REVIEWS) == 0


@pytest.mark.requirement("AUT-7")
async def test_a_token_that_counts_at_one_gateway_does_not_at_another(
    accounts: ServiceAccounts, admin: Login, agent: ServiceAccount
) -> None:
    bearer = await token(admin, agent, URL)

    assert await accounts.identify(bearer, (URL,)) == agent
    assert await accounts.identify(bearer, ("https://gateway.example/v1/mcp/team-a.other",)) is None


@pytest.mark.requirement("AUT-7")
async def test_what_the_api_server_said_is_believed_for_ten_seconds(
    accounts: ServiceAccounts, admin: Login, agent: ServiceAccount, proxy: FaultyProxy, clock: Clock
) -> None:
    bearer = await token(admin, agent, URL)
    for passed, reviews in ((0, 1), (BELIEVED - 0.1, 1), (0.1, 2)):
        clock.now += passed
        assert await accounts.identify(bearer, AUDIENCES) == agent
        assert proxy.count(REVIEWS) == reviews


@pytest.mark.requirement("AUT-7")
async def test_a_token_dies_with_its_pod_and_with_its_service_account(
    accounts: ServiceAccounts, admin: Login, agent: ServiceAccount, cluster: Cluster, clock: Clock
) -> None:
    spec = {
        "serviceAccountName": agent.name,
        "schedulingGates": [{"name": "example.com/never"}],
        "containers": [{"name": "a", "image": "a"}],
    }
    await cluster.create(POD, {"metadata": {"name": "agent", "namespace": agent.namespace}, "spec": spec})
    of_pod = await token(admin, agent, URL, pod="agent")
    other = ServiceAccount(namespace=agent.namespace, name="other")
    await cluster.create(SERVICE_ACCOUNT, {"metadata": {"name": other.name, "namespace": other.namespace}})
    of_other = await token(admin, other, URL)
    assert (await accounts.identify(of_pod, AUDIENCES), await accounts.identify(of_other, AUDIENCES)) == (agent, other)

    await cluster.delete(POD, "agent", agent.namespace)
    await cluster.delete(SERVICE_ACCOUNT, other.name, other.namespace)

    async def is_dead(bearer: str) -> None:
        while await accounts.identify(bearer, AUDIENCES) is not None:
            clock.now += BELIEVED
            await asyncio.sleep(0.1)

    # The API server remembers for ten seconds too whom it knew.
    async with asyncio.timeout(30):
        await asyncio.gather(is_dead(of_pod), is_dead(of_other))


@pytest.mark.requirement("AUT-7")
async def test_whoever_asks_at_the_same_time_shares_one_review(
    accounts: ServiceAccounts, admin: Login, agent: ServiceAccount, proxy: FaultyProxy
) -> None:
    bearer = await token(admin, agent, URL)

    assert await asyncio.gather(*(accounts.identify(bearer, AUDIENCES) for _ in range(50))) == [agent] * 50
    assert await accounts.identify(bearer, AUDIENCES) == agent
    assert proxy.count(REVIEWS) == 1


@pytest.mark.requirement("AUT-7")
async def test_a_forged_token_is_nobody_and_asked_about_once(accounts: ServiceAccounts, proxy: FaultyProxy) -> None:
    assert [await accounts.identify(forged(), AUDIENCES) for _ in range(10)] == [None] * 10
    assert proxy.count(REVIEWS) == 1


@pytest.mark.requirement("AUT-7")
async def test_without_an_api_server_what_it_said_counts_on_and_of_others_nobody_can_tell(
    accounts: ServiceAccounts, admin: Login, agent: ServiceAccount, proxy: FaultyProxy, clock: Clock
) -> None:
    bearer, another = await token(admin, agent, URL), await token(admin, agent, *AUDIENCES)
    assert await accounts.identify(bearer, AUDIENCES) == agent
    await proxy.refuse()

    assert await accounts.identify(bearer, AUDIENCES) == agent
    assert isinstance(await accounts.identify(another, AUDIENCES), Unavailable)
    clock.now += BELIEVED
    assert isinstance(await accounts.identify(bearer, AUDIENCES), Unavailable)

    await proxy.accept()
    assert await accounts.identify(bearer, AUDIENCES) == agent


@pytest.mark.requirement("AUT-7")
async def test_the_one_right_that_it_takes_is_to_create_token_reviews(
    admin: Login, agent: ServiceAccount, cluster: Cluster, namespace: str
) -> None:
    bearer, user = await token(admin, agent, URL), f"gateway-of-{namespace}"
    async with as_user(admin, user) as gateway:
        refused = await ServiceAccounts(gateway).identify(bearer, AUDIENCES)
        assert isinstance(refused, Unavailable)
        assert "tokenreviews" in refused.message
        assert bearer not in refused.message

        rule = {"apiGroups": ["authentication.k8s.io"], "resources": [REVIEWS], "verbs": ["create"]}
        subject = {"kind": "User", "apiGroup": RBAC, "name": user}
        await cluster.create(CLUSTER_ROLE, {"metadata": {"name": user}, "rules": [rule]})
        binding = {"roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": user}, "subjects": [subject]}
        await cluster.create(CLUSTER_ROLE_BINDING, {"metadata": {"name": user}, **binding})
        found = await once_allowed(gateway, bearer)
        await cluster.delete(CLUSTER_ROLE_BINDING, user)
        await cluster.delete(CLUSTER_ROLE, user)

    assert found == agent


async def test_an_api_server_that_ignores_audiences_vouches_for_nobody(accounts: ServiceAccounts, proxy: FaultyProxy) -> None:
    status = {"authenticated": True, "user": {"username": "system:serviceaccount:team-a:agent"}}
    said: list[dict[str, Any]] = [{}, {"audiences": []}, {"audiences": ["https://kubernetes.default.svc"]}, {"audiences": None}]
    for audiences in said:
        answer = {"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": {**status, **audiences}}
        proxy.answer(201, anything, body=json.dumps(answer).encode())
        assert await accounts.identify(forged(f"system:serviceaccount:team-a:agent-{len(str(audiences))}"), AUDIENCES) is None
    assert proxy.count(REVIEWS) == 4


async def test_who_is_no_service_account_for_the_api_server_is_none_here(accounts: ServiceAccounts, proxy: FaultyProxy) -> None:
    for username in ("kubernetes-admin", "system:serviceaccount:only", "system:serviceaccount:a:b:c", ""):
        status = {"authenticated": True, "audiences": [URL], "user": {"username": username}}
        proxy.answer(201, anything, body=json.dumps({"kind": "TokenReview", "status": status}).encode())
        assert await accounts.identify(forged(f"system:serviceaccount:team-a:agent-{len(username)}"), AUDIENCES) is None


async def test_of_very_many_tokens_the_ones_used_last_are_remembered(
    accounts: ServiceAccounts, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wharfinger_oauth.service_account.MAX_KEPT", 2)
    one, two, three = (forged(f"system:serviceaccount:team-a:agent-{number}") for number in range(3))
    for bearer in (one, two, one, three):
        await accounts.identify(bearer, AUDIENCES)
    assert proxy.count(REVIEWS) == 3

    await accounts.identify(one, AUDIENCES)
    assert proxy.count(REVIEWS) == 3
    await accounts.identify(two, AUDIENCES)
    assert proxy.count(REVIEWS) == 4


async def test_strangers_cannot_make_the_api_server_answer_any_number_of_questions_at_once(
    accounts: ServiceAccounts, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wharfinger_oauth.service_account.MAX_ASKED", 3)
    bearers = [forged(f"system:serviceaccount:team-a:agent-{number}") for number in range(10)]

    found = await asyncio.gather(*(accounts.identify(bearer, AUDIENCES) for bearer in bearers))

    assert [isinstance(one, Unavailable) for one in found] == [False] * 3 + [True] * 7
    assert proxy.count(REVIEWS) == 3


def test_only_what_says_it_is_a_service_account_s_is_taken_for_one() -> None:
    assert is_service_account_token(forged())
    for text in (
        forged("alice"),
        forged("system:serviceaccount:a"),
        forged("system:serviceaccount:A:b"),
        "whf_u_abc",
        "a.b.c",
        "",
        "x" * 20_000,
    ):
        assert not is_service_account_token(text)
