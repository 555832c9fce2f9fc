"""Whether a CustomResourceDefinition is the provider's, in the form that we write."""

from typing import Any

import pytest

from provider_crds import KIND_OF, VERSIONS, definition
from wharfinger_cluster.resource import FQDN_NETWORK_POLICY
from wharfinger_operator.cluster_reading import policy_kind


def established(version: str) -> dict[str, Any]:
    return {**definition(version), "status": {"conditions": [{"type": "Established", "status": "True"}]}}


@pytest.mark.requirement("ENV-5")
@pytest.mark.parametrize(("provider", "version"), VERSIONS)
def test_the_definitions_of_providers_are_known(provider: str, version: str) -> None:
    assert policy_kind(established(version), KIND_OF[provider]).problem == ""


@pytest.mark.requirement("ENV-5")
def test_another_project_s_kind_of_the_same_name_is_not_taken_for_it() -> None:
    look_alike = established("gke-look-alike")
    renamed = {"versions": [{**version, "name": "v1alpha1"} for version in look_alike["spec"]["versions"]]}

    assert policy_kind(look_alike, FQDN_NETWORK_POLICY).problem
    assert "another project's" in policy_kind({**look_alike, "spec": renamed}, FQDN_NETWORK_POLICY).problem


@pytest.mark.requirement("ENV-5")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"status": {}}, "does not serve"),
        ({"status": {"conditions": None}}, "does not serve"),
        ({"metadata": {"name": "x", "deletionTimestamp": "2026-01-01T00:00:00Z"}}, "does not serve"),
        ({"spec": {"versions": []}}, "have no version v1alpha1"),
        ({"spec": {"versions": [{"name": "v1alpha1", "served": False}]}}, "have no version v1alpha1"),
        ({"spec": {"versions": [{"name": "v1alpha1", "served": True}]}}, "another project's"),
    ],
)
def test_what_is_not_served_as_we_write_it_is_said(change: dict[str, Any], words: str) -> None:
    assert words in policy_kind({**established("gke"), **change}, FQDN_NETWORK_POLICY).problem
