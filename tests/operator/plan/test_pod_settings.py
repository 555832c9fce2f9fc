"""Pod defaults in three layers, and what the operator adds to what an entry adds."""

import copy
from pathlib import Path
from typing import Any

import pytest

from golden import manifests
from manifest_world import SETTINGS, installation_world
from wharfinger_crds import conditions as c
from wharfinger_crds.pod_defaults import PodDefaults
from wharfinger_crds.settings import Servers, SettingsError, read_settings
from wharfinger_operator.plan.installation import InstallationPlan, plan_installation

CASE = Path(__file__).parent / "testdata/installation-stdio.in.yaml"


def planned(platform: dict[str, Any] | None = None, environment: dict[str, Any] | None = None, entry: dict[str, Any] | None = None, **hosted: Any) -> InstallationPlan:  # fmt: skip
    documents = copy.deepcopy(manifests(CASE))
    by_kind = {d["kind"]: d for d in documents}
    if environment:
        by_kind["Environment"]["spec"]["podDefaults"] = environment
    if entry:
        by_kind["McpRegistryEntry"]["spec"]["selfHosted"]["deployment"] = {"template": {"spec": entry}}
    by_kind["Environment"]["spec"].update(hosted)
    servers = Servers(pod_defaults=PodDefaults.model_validate(platform)) if platform else Servers()
    return plan_installation(installation_world(documents, SETTINGS.model_copy(update={"servers": servers})))


def pod(**layers: Any) -> dict[str, Any]:
    desired = planned(**layers).desired
    assert desired is not None
    found: dict[str, Any] = next(o for o in desired if o["kind"] == "Deployment")["spec"]["template"]["spec"]
    return found


@pytest.mark.requirement("ORC-7", "ENV-1")
@pytest.mark.parametrize(
    ("field", "platform", "environment", "entry", "expected"),
    [
        ("nodeSelector", {"a": "1", "b": "1", "c": "1"}, {"b": "2", "c": "2"}, {"c": "3"}, {"a": "1", "b": "2", "c": "3"}),
        ("nodeSelector", {"a": "1"}, None, {"a": None, "b": "2"}, {"b": "2"}),
        ("tolerations", [{"key": "a"}], [{"key": "b"}], None, [{"key": "b"}]),
        ("tolerations", [{"key": "a"}], None, [{"key": "c"}], [{"key": "c"}]),
        ("priorityClassName", "a", "b", "c", "c"),
        ("priorityClassName", "a", None, None, "a"),
        ("runtimeClassName", None, "gvisor", None, "gvisor"),
        ("affinity", {"nodeAffinity": {"x": 1}}, {"podAffinity": {"y": 2}}, None, {"nodeAffinity": {"x": 1}, "podAffinity": {"y": 2}}),
    ],
)  # fmt: skip
def test_of_three_layers_the_later_one_wins_key_by_key(field: str, platform: Any, environment: Any, entry: Any, expected: Any) -> None:
    layers = {name: {field: value} for name, value in (("platform", platform), ("environment", environment), ("entry", entry)) if value}

    assert pod(**layers)[field] == expected


@pytest.mark.requirement("ORC-7", "ENV-1", "ORC-6")
def test_default_resources_are_the_servers_and_each_layer_changes_only_what_it_names() -> None:
    found = pod(
        platform={"resources": {"limits": {"cpu": "2", "memory": "1Gi"}}},
        environment={"resources": {"limits": {"memory": "2Gi"}, "requests": {"cpu": 1}}},
        entry={"containers": [{"name": "server", "resources": {"limits": {"cpu": None}}}]},
    )

    assert found["containers"][0]["resources"] == {"requests": {"cpu": 1, "memory": "64Mi"}, "limits": {"memory": "2Gi"}}
    assert found["initContainers"][0]["resources"]["limits"]["memory"] == "128Mi"


@pytest.mark.requirement("ORC-8", "ENV-1")
@pytest.mark.parametrize("memory", [None, "0", 0, "-1"])
def test_no_layer_takes_the_limit_off(memory: object) -> None:
    for layers in (
        {"platform": {"resources": {"limits": {"memory": memory}}}},
        {"environment": {"resources": {"limits": {"memory": memory}}}},
    ):
        plan = planned(**layers)

        assert (plan.desired, plan.accepted.reason) == (None, c.POD_NOT_HARDENED)
        assert "resources.limits.memory" in plan.accepted.message


@pytest.mark.requirement("ENV-1")
@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({"claims": [{"name": "x"}]}, "spec.podDefaults.resources.claims: only requests and limits are known"),
        ({"limits": "much"}, "spec.podDefaults.resources.limits: is no map"),
        ({"limits": {"memory": "much"}}, "spec.podDefaults.resources.limits.memory: is no quantity"),
        ({"limits": {"memory": True}}, "spec.podDefaults.resources.limits.memory: is no quantity"),
        ({"requests": {"cpu": {"a": 1}}}, "spec.podDefaults.resources.requests.cpu: is no quantity"),
    ],
)
def test_resources_that_are_none_are_refused_where_they_stand(resources: dict[str, Any], words: str) -> None:
    plan = planned(environment={"resources": resources})

    assert plan.accepted.reason == c.ENVIRONMENT_NOT_ACCEPTED
    assert words in plan.accepted.message


@pytest.mark.requirement("ORC-7")
def test_wrong_defaults_of_the_platform_are_named_by_their_path() -> None:
    namespaces = "namespaces: {system: s, catalog: c, servers: [x]}\nimages: {base: a, bridge: b}\npublicUrl: http://x\n"

    with pytest.raises(SettingsError, match=r"servers.*podDefaults\.resources\.limits\.cpu"):
        read_settings(f"{namespaces}servers: {{podDefaults: {{resources: {{limits: {{cpu: fast}}}}}}}}")


@pytest.mark.requirement("ORC-6")
def test_images_of_sidecars_obey_the_environment() -> None:
    sidecars = {"containers": [{"name": "a", "image": "ghcr.io/acme/ok:1"}], "initContainers": [{"name": "b", "image": "ghcr.io/evil/x:1"}]}

    plan = planned(entry=sidecars, allowedImages=["ghcr.io/acme/*"])

    assert (plan.desired, plan.accepted.reason) == (None, c.IMAGE_NOT_ALLOWED)
    assert "ghcr.io/evil/x:1" in plan.accepted.message
    assert "ghcr.io/acme/ok:1" not in plan.accepted.message


def test_what_the_api_server_stores_by_leaving_it_out_is_not_written() -> None:
    found = pod(
        entry={
            "nodeSelector": {},
            "priorityClassName": "",
            "tolerations": [{"key": "", "operator": "Exists", "value": ""}],
            "containers": [
                {
                    "name": "x",
                    "image": "x",
                    "env": [{"name": "A", "value": ""}],
                    "readinessProbe": {"initialDelaySeconds": 0, "exec": {"command": ["x"]}},
                }
            ],
        }
    )

    assert not {"nodeSelector", "priorityClassName"} & found.keys()
    assert found["tolerations"] == [{"operator": "Exists"}]
    assert found["containers"][1]["env"] == [{"name": "A"}]
    assert found["containers"][1]["readinessProbe"] == {"exec": {"command": ["x"]}}
