"""Paths of the API, as the API reference gives them."""

import pytest

from wharfinger_cluster.resource import CUSTOM_RESOURCE_DEFINITION, DEPLOYMENT, EVENT, NODE, SECRET


def test_paths_are_those_of_the_api_reference() -> None:
    assert SECRET.collection() == "/api/v1/secrets"
    assert SECRET.collection("team-a") == "/api/v1/namespaces/team-a/secrets"
    assert SECRET.object("token", "team-a") == "/api/v1/namespaces/team-a/secrets/token"
    assert DEPLOYMENT.object("web", "team-a", "status") == "/apis/apps/v1/namespaces/team-a/deployments/web/status"
    assert NODE.object("node1") == "/api/v1/nodes/node1"
    assert CUSTOM_RESOURCE_DEFINITION.collection() == "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    assert EVENT.api_version == "events.k8s.io/v1"
    assert SECRET.api_version == "v1"
    assert (str(DEPLOYMENT), str(SECRET)) == ("deployments.apps", "secrets")


def test_an_object_in_a_namespace_needs_one_and_a_cluster_scoped_one_has_none() -> None:
    with pytest.raises(ValueError, match="without a namespace"):
        SECRET.object("token")
    with pytest.raises(ValueError, match="cluster-scoped"):
        NODE.object("node1", "team-a")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a%2Fb"])
def test_what_no_object_can_be_called_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no object name"):
        SECRET.object(name, "team-a")
    with pytest.raises(ValueError, match="no object name"):
        SECRET.collection(name)


def test_a_name_cannot_add_a_query() -> None:
    assert SECRET.object("a?b#c", "team-a").endswith("/secrets/a%3Fb%23c")
