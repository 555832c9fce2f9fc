"""What is wrong with the objects of the catalog namespace that an entry names, and what becomes of it."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from golden import manifests
from manifest_world import NOW, installation_world
from wharfinger_crds import conditions as c
from wharfinger_crds import names
from wharfinger_crds.registry_entry import RegistryEntry
from wharfinger_operator import triggers
from wharfinger_operator.plan.installation import InstallationPlan, plan_installation
from wharfinger_operator.status import installation_status

CASE = Path(__file__).parent / "plan/testdata/installation-catalog.in.yaml"
Objects = dict[tuple[str, str], dict[str, Any]]
Change = Callable[[Objects], object]


def plan(change: Change) -> InstallationPlan:
    documents = copy.deepcopy(manifests(CASE))
    change({(d["kind"], d["metadata"]["name"]): d for d in documents})
    world = installation_world(documents)
    made = plan_installation(world)
    assert "planted" not in repr(installation_status(world, made, NOW)) + repr(made) + repr(world)
    return made


def nothing(_: Objects) -> None:
    """Change nothing."""


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        (lambda d: d["Secret", "jira"]["metadata"].update(name="gone"), c.SECRET_MISSING, "spec.selfHosted.env[JIRA_TOKEN]: there is no Secret jira"),
        (lambda d: d["Secret", "jira"]["metadata"].update(namespace="team-a"), c.SECRET_MISSING, "in namespace wharfinger-catalog: create or label it"),
        (lambda d: d["Secret", "jira"].update(stringData={"other": "x"}), c.SECRET_MISSING, "has no key token: add it"),
        (lambda d: d["Secret", "jira"].update(stringData={"token": "planted\0"}), c.FIELD_INVALID, "spec.selfHosted.env[JIRA_TOKEN]"),
        (lambda d: d["Secret", "jira"].update(stringData={"token": "x" * 65537}), c.FIELD_INVALID, "at most 65536 characters"),
        (lambda d: d["ConfigMap", "jira"]["metadata"].update(name="gone"), c.CONFIG_MAP_MISSING, "spec.selfHosted.env[REGION]: there is no ConfigMap jira"),
        (lambda d: d["ConfigMap", "jira"].update(data={}), c.CONFIG_MAP_MISSING, "has no key region: add it"),
        (lambda d: d["Secret", "regcred"]["metadata"].update(name="gone"), c.SECRET_MISSING, "spec.selfHosted.imagePullSecrets[regcred]"),
        (lambda d: d["Secret", "regcred"].update(type="kubernetes.io/dockercfg"), c.PULL_SECRET_INVALID, "is of type kubernetes.io/dockercfg"),
        (lambda d: d["Secret", "regcred"].update(stringData={".dockerconfigjson": '{"auths": []}'}), c.PULL_SECRET_INVALID, "is no document"),
        (lambda d: d["Secret", "regcred"].update(stringData={}), c.PULL_SECRET_INVALID, "is no document"),
        (lambda d: d["Secret", "acme-registry"]["metadata"].update(name="gone"), c.SECRET_MISSING, "spec.selfHosted.registryCredentials[registry.acme.dev]"),
        (lambda d: d["Secret", "acme-registry"].update(stringData={"username": "a"}), c.SECRET_MISSING, "has no key password"),
        (lambda d: d["Secret", "acme-registry"].update(stringData={"username": "a", "password": "planted\n"}), c.PULL_SECRET_INVALID, "key password"),
        (lambda d: d["Secret", "acme-registry"].update(stringData={"username": "a:b", "password": "planted"}), c.PULL_SECRET_INVALID, "key username"),
        (lambda d: d["Secret", "acme-registry"].update(stringData={"username": "", "password": "planted"}), c.PULL_SECRET_INVALID, "is empty"),
    ],
)  # fmt: skip
@pytest.mark.requirement("INS-2", "ORC-4", "ORC-5")
def test_what_the_catalog_lacks_is_a_condition_and_what_runs_goes_on(change: Change, reason: str, words: str) -> None:
    made = plan(change)

    assert made.desired is None
    assert made.values
    assert (made.values.type, made.values.status, made.values.reason) == (c.VALUES_RESOLVED, "False", reason)
    assert words in made.values.message


def input_hash(made: InstallationPlan) -> str:
    deployment = next(o for o in made.desired or () if o["kind"] == "Deployment")
    text: str = deployment["spec"]["template"]["metadata"]["annotations"][names.INPUT_HASH]
    return text


@pytest.mark.requirement("ORC-5")
@pytest.mark.parametrize(
    ("change", "rolls"),
    [
        (lambda d: d["Secret", "jira"].update(stringData={"token": "planted-other"}), True),
        (lambda d: d["ConfigMap", "jira"].update(data={"region": "us"}), True),
        (lambda d: d["Secret", "certificate"].update(stringData={"pem": "planted-other"}), True),
        (lambda d: d["Secret", "jira"]["stringData"].update(unnamed="planted"), False),
        (lambda d: d["Secret", "regcred"].update(stringData={".dockerconfigjson": '{"auths": {}}'}), False),
        (lambda d: d["Secret", "acme-registry"]["stringData"].update(password="planted-other"), False),
    ],
)  # fmt: skip
def test_pods_roll_for_what_they_read_and_for_nothing_else(change: Change, rolls: bool) -> None:
    before, after = (next(o for o in plan(one).desired or () if o["kind"] == "Deployment") for one in (nothing, change))

    assert (before != after) is rolls
    assert (input_hash(plan(nothing)) != input_hash(plan(change))) is rolls


@pytest.mark.requirement("REG-5")
def test_a_value_from_a_secret_stays_in_secrets_although_the_entry_does_not_call_it_secret() -> None:
    source = {"field": "greeting", "secretKeyRef": {"name": "certificate", "key": "greeting"}}

    def change(d: Objects) -> None:
        d["Secret", "certificate"]["stringData"]["greeting"] = "hello planted"
        d["McpInstallation", "jira"]["spec"]["valuesFrom"].append(source)

    shown = [o for o in plan(change).desired or () if o["kind"] != "Secret"]

    assert shown
    assert "planted" not in repr(shown)


@pytest.mark.requirement("REG-5")
def test_a_value_from_a_secret_is_refused_where_everyone_could_read_it() -> None:
    source = {"field": "site", "secretKeyRef": {"name": "certificate", "key": "site"}}

    def change(d: Objects) -> None:
        d["Secret", "certificate"]["stringData"]["site"] = "acme"
        d["McpInstallation", "jira"]["spec"]["valuesFrom"].append(source)

    values = plan(change).values

    assert values
    assert values.reason == c.SECRET_IN_PLAIN_SIGHT
    assert "spec.selfHosted.args[2]" in values.message


@pytest.mark.parametrize(
    ("kind", "name", "count"),
    [
        ("Secret", "jira", 1),
        ("ConfigMap", "jira", 1),
        ("Secret", "regcred", 1),
        ("Secret", "acme-registry", 1),
        ("ConfigMap", "regcred", 0),
        ("Secret", "other", 0),
    ],
)
def test_a_change_in_the_catalog_concerns_the_entries_that_name_it(kind: str, name: str, count: int) -> None:
    documents = {d["kind"]: d for d in manifests(CASE)}
    other = RegistryEntry.parse({"metadata": {"name": "other"}, "spec": {"title": "X", "type": "Remote", "remote": {"url": "https://a/b"}}})
    entries = [RegistryEntry.parse(documents["McpRegistryEntry"]), other]

    assert len(triggers.entries_naming(kind, name, entries)) == count
