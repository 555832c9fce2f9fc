"""Strategic merge: the rules of the API server, as tables, and what holds for every merge."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wharfinger_operator.plan.strategic_merge import MERGE_KEYS, merged


@pytest.mark.requirement("ORC-6")
@pytest.mark.parametrize(
    ("base", "override", "expected"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
        ({"a": 1}, {"b": {"c": None, "d": 1}}, {"a": 1, "b": {"d": 1}}),
        ({"containers": [{"name": "a", "x": 1}]}, {"containers": [{"name": "b"}, {"name": "a", "y": 2}]}, {"containers": [{"name": "a", "x": 1, "y": 2}, {"name": "b"}]}),
        ({"initContainers": [{"name": "a"}]}, {"initContainers": [{"name": "b"}]}, {"initContainers": [{"name": "a"}, {"name": "b"}]}),
        ({"env": [{"name": "A", "value": "1"}]}, {"env": [{"name": "A", "value": "2"}]}, {"env": [{"name": "A", "value": "2"}]}),
        ({"env": [{"name": "A", "value": "1"}]}, {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]}, {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]}),
        ({"imagePullSecrets": [{"name": "a"}]}, {"imagePullSecrets": [{"name": "a"}, {"name": "b"}]}, {"imagePullSecrets": [{"name": "a"}, {"name": "b"}]}),
        ({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}, {"volumes": [{"name": "v", "emptyDir": {}}]}, {"volumes": [{"name": "v", "emptyDir": {}}]}),
        ({"volumes": [{"name": "v", "emptyDir": {"medium": "Memory"}}]}, {"volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}]}, {"volumes": [{"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}]}),
        ({"volumeMounts": [{"name": "a", "mountPath": "/x"}]}, {"volumeMounts": [{"name": "b", "mountPath": "/x"}]}, {"volumeMounts": [{"name": "b", "mountPath": "/x"}]}),
        ({"volumeMounts": [{"name": "a", "mountPath": "/x"}]}, {"volumeMounts": [{"name": "a", "mountPath": "/y"}]}, {"volumeMounts": [{"name": "a", "mountPath": "/x"}, {"name": "a", "mountPath": "/y"}]}),
        ({"ports": [{"containerPort": 53, "protocol": "TCP"}]}, {"ports": [{"containerPort": 53, "name": "dns"}]}, {"ports": [{"containerPort": 53, "protocol": "TCP", "name": "dns"}]}),
        ({"ports": [{"containerPort": 53}]}, {"ports": [{"containerPort": 53, "protocol": "UDP"}]}, {"ports": [{"containerPort": 53}, {"containerPort": 53, "protocol": "UDP"}]}),
        ({"topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 1}]}, {"topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 2}]}, {"topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 2}]}),
        ({"hostAliases": [{"ip": "1.1.1.1", "hostnames": ["a"]}]}, {"hostAliases": [{"ip": "1.1.1.1", "hostnames": ["b"]}]}, {"hostAliases": [{"ip": "1.1.1.1", "hostnames": ["b"]}]}),
        ({"tolerations": [{"key": "a"}, {"key": "b"}]}, {"tolerations": [{"key": "c"}]}, {"tolerations": [{"key": "c"}]}),
        ({"command": ["a", "b"]}, {"command": ["c"]}, {"command": ["c"]}),
        ({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}, {"strategy": {"type": "Recreate"}}, {"strategy": {"type": "Recreate"}}),
        ({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}, {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2}}}, {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2, "maxUnavailable": 0}}}),
        ({"readinessProbe": {"tcpSocket": {"port": 1}, "periodSeconds": 2}}, {"readinessProbe": {"httpGet": {"path": "/", "port": 1}}}, {"readinessProbe": {"periodSeconds": 2, "httpGet": {"path": "/", "port": 1}}}),
        ({"labels": {"env": "a", "ports": "b"}}, {"labels": {"env": "c"}}, {"labels": {"env": "c", "ports": "b"}}),
    ],
)  # fmt: skip
def test_a_merge_follows_the_merge_keys_and_unions_of_the_api(
    base: dict[str, Any], override: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert merged(base, override) == expected


SCALARS = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["a", "b", ""])
FIELDS = st.sampled_from(["x", "y", "labels", "tolerations", "emptyDir", "strategy"])


def _keyed(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def items(field: str) -> st.SearchStrategy[Any]:
        key = MERGE_KEYS[field][0]
        item = st.builds(
            lambda name, rest: {**rest, key: name}, st.sampled_from(["a", "b", "c"]), st.dictionaries(FIELDS, inner, max_size=2)
        )
        return st.lists(item, max_size=3, unique_by=lambda found: found[key]).map(lambda found: {field: found})

    return st.sampled_from(sorted(set(MERGE_KEYS) - {"ports"})).flatmap(items)


TREES = st.recursive(
    SCALARS, lambda inner: st.dictionaries(FIELDS, inner, max_size=3) | _keyed(inner) | st.lists(SCALARS, max_size=2), max_leaves=12
)
OBJECTS = st.dictionaries(FIELDS, TREES, max_size=3) | _keyed(TREES)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(below) for key, below in value.items() if below is not None}
    return [_without_nulls(item) if isinstance(item, dict) else item for item in value] if isinstance(value, list) else value


@pytest.mark.requirement("ORC-6")
@settings(deadline=None)
@given(OBJECTS)
def test_an_empty_override_changes_nothing(base: dict[str, Any]) -> None:
    assert merged(base, {}) == base


@pytest.mark.requirement("ORC-6")
@settings(deadline=None)
@given(OBJECTS, OBJECTS)
def test_the_same_override_twice_is_once_and_no_input_is_edited(base: dict[str, Any], override: dict[str, Any]) -> None:
    before = copy.deepcopy((base, override))
    once = merged(_without_nulls(base), override)

    assert merged(once, override) == once
    assert (base, override) == before
