"""The verbs, against a real API server."""

import pytest

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.connection import Login
from wharfinger_cluster.errors import Conflict, Invalid, NotFound
from wharfinger_cluster.resource import (
    CONFIG_MAP,
    DEPLOYMENT,
    NAMESPACE,
    NETWORK_POLICY,
    SECRET,
    Object,
    Resource,
    Scope,
)

ABSENT = Resource("wharfinger.test", "v1", "nothings", "Nothing")


def config_map(namespace: str, name: str = "example", **data: str) -> Object:
    return {"metadata": {"name": name, "namespace": namespace}, "data": data}


async def test_what_was_created_is_read_back_typed_and_without_managed_fields(cluster: Cluster, namespace: str) -> None:
    await cluster.create(CONFIG_MAP, config_map(namespace, key="value"))

    found = await cluster.get(CONFIG_MAP, "example", namespace)
    assert (found["apiVersion"], found["kind"], found["data"]) == ("v1", "ConfigMap", {"key": "value"})
    assert "managedFields" not in found["metadata"]
    with_fields = await cluster.get(CONFIG_MAP, "example", namespace, managed_fields=True)
    assert with_fields["metadata"]["managedFields"][0]["manager"] == "wharfinger"


async def test_creating_twice_is_a_conflict(cluster: Cluster, namespace: str) -> None:
    await cluster.create(CONFIG_MAP, config_map(namespace))
    with pytest.raises(Conflict) as refused:
        await cluster.create(CONFIG_MAP, config_map(namespace))
    assert refused.value.reason == "AlreadyExists"


async def test_a_list_has_all_pages_and_types_its_items(cluster: Cluster, namespace: str) -> None:
    names = [f"example-{n}" for n in range(7)]
    for name in names:
        await cluster.create(CONFIG_MAP, config_map(namespace, name))

    pages = [page async for page in cluster.pages(CONFIG_MAP, Scope(namespace, fields="metadata.name!=kube-root-ca.crt"), limit=3)]
    assert [len(page.items) for page in pages] == [3, 3, 1]
    assert len({page.resource_version for page in pages}) == 1
    items = await cluster.list(CONFIG_MAP, Scope(namespace, fields="metadata.name!=kube-root-ca.crt"), limit=3)
    assert [item["metadata"]["name"] for item in items] == names
    assert {(item["apiVersion"], item["kind"]) for item in items} == {("v1", "ConfigMap")}
    assert not any("managedFields" in item["metadata"] for item in items)


async def test_a_list_obeys_the_label_selector(cluster: Cluster, namespace: str) -> None:
    await cluster.create(CONFIG_MAP, config_map(namespace, "plain"))
    labelled = config_map(namespace, "labelled")
    labelled["metadata"]["labels"] = {"usable": "true"}
    await cluster.create(CONFIG_MAP, labelled)

    items = await cluster.list(CONFIG_MAP, Scope(namespace, labels="usable=true"))
    assert [item["metadata"]["name"] for item in items] == ["labelled"]


async def test_applying_twice_changes_nothing_and_leaves_the_argument_alone(cluster: Cluster, namespace: str) -> None:
    intent = config_map(namespace, key="value")
    first = await cluster.apply(CONFIG_MAP, intent)
    second = await cluster.apply(CONFIG_MAP, intent)
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert intent == config_map(namespace, key="value")


async def test_a_field_left_out_of_the_next_apply_is_removed(cluster: Cluster, namespace: str) -> None:
    await cluster.apply(CONFIG_MAP, config_map(namespace, stays="1", goes="1"))
    found = await cluster.apply(CONFIG_MAP, config_map(namespace, stays="1"))
    assert found["data"] == {"stays": "1"}


async def test_without_force_a_field_of_another_manager_is_a_conflict_that_names_manager_and_field(
    cluster: Cluster, admin: Login, namespace: str
) -> None:
    await cluster.apply(CONFIG_MAP, config_map(namespace, key="ours"))
    async with Cluster(admin, manager="another") as another:
        with pytest.raises(Conflict, match=r'conflict with "wharfinger".*\.data\.key'):
            await another.apply(CONFIG_MAP, config_map(namespace, key="theirs"), force=False)
        taken = await another.apply(CONFIG_MAP, config_map(namespace, key="theirs"))
    assert taken["data"] == {"key": "theirs"}


async def test_a_network_policy_with_an_empty_list_is_changed_by_each_apply(cluster: Cluster, namespace: str) -> None:
    """The trap behind the rule in `Cluster.apply`; when this fails, the API server was mended and the rule can go."""
    policy: Object = {
        "metadata": {"name": "closed", "namespace": namespace},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": []},
    }
    first = await cluster.apply(NETWORK_POLICY, policy)
    second = await cluster.apply(NETWORK_POLICY, policy)
    assert second["metadata"]["generation"] > first["metadata"]["generation"]

    del policy["spec"]["egress"]
    third = await cluster.apply(NETWORK_POLICY, policy)
    fourth = await cluster.apply(NETWORK_POLICY, policy)
    assert fourth["metadata"]["resourceVersion"] == third["metadata"]["resourceVersion"]


async def test_an_unknown_field_is_invalid_and_named(cluster: Cluster, namespace: str) -> None:
    body = {**config_map(namespace), "dat": {"key": "value"}}
    with pytest.raises(Invalid, match=r"\.dat: field not declared in schema"):
        await cluster.apply(CONFIG_MAP, body)
    with pytest.raises(Invalid, match='unknown field "dat"'):
        await cluster.create(CONFIG_MAP, body)


async def test_a_dry_run_validates_and_stores_nothing(cluster: Cluster, namespace: str) -> None:
    await cluster.apply(CONFIG_MAP, config_map(namespace), dry_run=True)
    with pytest.raises(NotFound):
        await cluster.get(CONFIG_MAP, "example", namespace)


async def test_the_status_subresource_is_applied_apart_from_the_spec(cluster: Cluster, namespace: str) -> None:
    labels = {"app": "example"}
    containers = [{"name": "main", "image": "example.test/main"}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    metadata = {"name": "example", "namespace": namespace}
    await cluster.apply(
        DEPLOYMENT, {"metadata": metadata, "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}}
    )

    condition = {"type": "Wharfinger", "status": "True", "reason": "Test"}
    applied = await cluster.apply(DEPLOYMENT, {"metadata": metadata, "status": {"conditions": [condition]}}, subresource="status")
    # The deployment controller, where one runs, has conditions of its own.
    assert any(condition.items() <= found.items() for found in applied["status"]["conditions"])
    assert applied["spec"]["replicas"] == 0
    read = await cluster.get(DEPLOYMENT, "example", namespace, subresource="status")
    assert read["metadata"]["name"] == "example"


async def test_a_merge_patch_removes_what_is_null(cluster: Cluster, namespace: str) -> None:
    await cluster.create(CONFIG_MAP, config_map(namespace, stays="1", goes="1"))
    patched = await cluster.patch(CONFIG_MAP, "example", {"data": {"goes": None, "comes": "1"}}, namespace)
    assert patched["data"] == {"stays": "1", "comes": "1"}


async def test_replacing_an_outdated_version_is_a_conflict(cluster: Cluster, namespace: str) -> None:
    old = await cluster.create(CONFIG_MAP, config_map(namespace))
    await cluster.replace(CONFIG_MAP, {**old, "data": {"key": "new"}})
    with pytest.raises(Conflict, match="has been modified"):
        await cluster.replace(CONFIG_MAP, {**old, "data": {"key": "stale"}})


async def test_a_deletion_spares_an_object_of_another_uid_or_version(cluster: Cluster, namespace: str) -> None:
    found = await cluster.create(CONFIG_MAP, config_map(namespace))
    for preconditions in ({"uid": "00000000-0000-0000-0000-000000000000"}, {"resourceVersion": "1"}):
        with pytest.raises(Conflict):
            await cluster.delete(CONFIG_MAP, "example", namespace, preconditions=preconditions)

    await cluster.delete(CONFIG_MAP, "example", namespace, preconditions={"uid": found["metadata"]["uid"]})
    with pytest.raises(NotFound):
        await cluster.delete(CONFIG_MAP, "example", namespace)


async def test_a_foreground_deletion_waits_for_dependents(cluster: Cluster, namespace: str) -> None:
    await cluster.create(CONFIG_MAP, config_map(namespace))
    scope = Scope(namespace, fields="metadata.name=example")
    async with cluster.watch(CONFIG_MAP, scope, resource_version="", seconds=10) as events:
        await cluster.delete(CONFIG_MAP, "example", namespace, propagation="Foreground")
        async for event in events:
            if event.object["metadata"].get("finalizers") == ["foregroundDeletion"]:
                break
        else:
            pytest.fail("it was deleted in the background")


async def test_a_missing_object_and_a_missing_kind_are_told_apart(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(NotFound, match='configmaps "absent" not found'):
        await cluster.get(CONFIG_MAP, "absent", namespace)
    with pytest.raises(NotFound, match=r"does not serve nothings.wharfinger.test v1; is its CustomResourceDefinition installed\?"):
        await cluster.list(ABSENT)


@pytest.mark.parametrize("field", ["stringData", "data"])
async def test_an_error_about_a_secret_never_quotes_it(cluster: Cluster, namespace: str, field: str) -> None:
    """The API server does quote: `.stringData.k: expected string, got &value.valueUnstructured{Value:481516234}`."""
    body: Object = {"metadata": {"name": "planted", "namespace": namespace}, field: {"k": 481516234}}
    for attempt in (cluster.apply, cluster.create):
        with pytest.raises(Invalid) as refused:
            await attempt(SECRET, body)
        assert "481516234" not in f"{refused.value!r}{refused.value.__cause__!r}{refused.value.__context__!r}"
        assert f"secrets {namespace}" in str(refused.value)


@pytest.mark.parametrize("name", ["", ".", "..", "default/secrets", "default%2Fsecrets"])
async def test_a_name_that_leads_elsewhere_is_refused_before_anything_is_sent(admin: Login, name: str) -> None:
    sent: list[str] = []
    async with Cluster(admin, on_request=lambda verb, resource, status, seconds: sent.append(verb)) as cluster:
        with pytest.raises(Invalid, match="is no object name"):
            await cluster.delete(NAMESPACE, name)
    assert not sent


async def test_a_name_with_a_colon_is_found(cluster: Cluster) -> None:
    roles = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)
    found = await cluster.get(roles, "system:discovery")
    assert found["metadata"]["name"] == "system:discovery"
