"""Decisions with small inputs, as tables: what was broken in the world, and which reason comes out."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from golden import manifests
from manifest_world import NOW, installation_world
from wharfinger_crds import conditions as c
from wharfinger_crds.environment import Egress
from wharfinger_crds.registry_entry import RegistryEntry
from wharfinger_operator.plan.egress import egress_problem
from wharfinger_operator.plan.entry_checks import entry_problem
from wharfinger_operator.plan.fields import FieldValues, in_container, in_url, render
from wharfinger_operator.plan.installation import plan_installation
from wharfinger_operator.pod_fact import pod_fact, refused_pods
from wharfinger_operator.status import installation_status
from wharfinger_operator.symptom import symptom

CASES = Path(__file__).parent / "plan/testdata"
Documents = list[dict[str, Any]]
Break = Callable[[dict[str, dict[str, Any]]], object]


def broken(change: Break, case: str = "installation-http-secret") -> Documents:
    documents = copy.deepcopy(manifests(CASES / f"{case}.in.yaml"))
    change({d["kind"]: d for d in documents})
    return documents


@pytest.mark.parametrize(
    ("change", "condition", "reason"),
    [
        (lambda d: d["McpInstallation"]["metadata"].update(namespace="elsewhere"), c.ACCEPTED, c.NAMESPACE_NOT_TENANT),
        (lambda d: d["Namespace"]["metadata"].update(annotations={}), c.ACCEPTED, c.OWNER_NOT_GRANTED),
        (lambda d: d["McpInstallation"]["spec"]["entryRef"].update(name="gone"), c.ACCEPTED, c.ENTRY_NOT_FOUND),
        (lambda d: d["McpRegistryEntry"]["spec"].update(visibility={"scope": "Team", "teams": ["other"]}), c.ACCEPTED, c.ENTRY_NOT_FOUND),
        (lambda d: d["McpRegistryEntry"]["spec"].update(discovery={"interval": "1s"}), c.ACCEPTED, c.ENTRY_NOT_ACCEPTED),
        (lambda d: d["McpRegistryEntry"]["spec"].update(environmentRef={"name": "gone"}), c.ACCEPTED, c.ENVIRONMENT_NOT_FOUND),
        (lambda d: d["McpInstallation"]["spec"].update(environmentRef={"name": "staging"}), c.ACCEPTED, c.ENVIRONMENT_NOT_ALLOWED),
        (lambda d: d["Environment"]["spec"].update(namespace="other"), c.ACCEPTED, c.ENVIRONMENT_NOT_ACCEPTED),
        (lambda d: d["Environment"]["spec"].update(allowedNamespaces={"names": ["team-b"]}), c.ACCEPTED, c.NAMESPACE_NOT_ALLOWED),
        (lambda d: d["Environment"]["spec"].update(restricted=True), c.ACCEPTED, c.ENVIRONMENT_NOT_NAMED),
        (lambda d: d["Environment"]["spec"].update(allowedImages=["ghcr.io/other/*"]), c.ACCEPTED, c.IMAGE_NOT_ALLOWED),
        (lambda d: d["McpInstallation"]["spec"]["values"].update(colour="red"), c.VALUES_RESOLVED, c.UNKNOWN_FIELD),
        (lambda d: d["McpInstallation"]["spec"].update(values={}), c.VALUES_RESOLVED, c.FIELD_MISSING),
        (lambda d: d["McpInstallation"]["spec"]["values"].update(site="elsewhere"), c.VALUES_RESOLVED, c.FIELD_INVALID),
        (lambda d: d["McpInstallation"]["spec"].update(values={"site": "acme", "token": "x"}, valuesFrom=[]), c.VALUES_RESOLVED, c.SECRET_IN_PLAIN_SIGHT),
        (lambda d: d["Secret"]["metadata"].update(name="gone"), c.VALUES_RESOLVED, c.SECRET_MISSING),
        (lambda d: d["Secret"].update(stringData={"other": "x"}), c.VALUES_RESOLVED, c.SECRET_MISSING),
        (lambda d: d["Secret"].update(stringData={"token": "no-match"}), c.VALUES_RESOLVED, c.FIELD_INVALID),
        (lambda d: d["Secret"].update(stringData={"token": "planted-\r\nx-injected: 1"}), c.VALUES_RESOLVED, c.FIELD_INVALID),
    ],
)  # fmt: skip
@pytest.mark.requirement("REG-5", "INS-1", "INS-2")
def test_what_is_wrong_becomes_a_condition_that_ready_repeats(change: Break, condition: str, reason: str) -> None:
    world = installation_world(broken(change))
    status = installation_status(world, plan_installation(world), NOW)

    assert status is not None
    found, ready = status.condition(condition), status.condition(c.READY)
    assert found is not None
    assert (found.status, found.reason) == ("False", reason)
    assert ready is not None
    assert (ready.status, ready.reason) == ("False", reason)
    assert found.message
    assert "planted" not in found.message


@pytest.mark.parametrize("change", [
    lambda d: d["McpInstallation"]["metadata"].update(namespace="elsewhere"),
    lambda d: d["Namespace"]["metadata"].update(annotations={}),
    lambda d: d["Environment"]["spec"].update(allowedNamespaces={"names": ["team-b"]}),
    lambda d: d["McpRegistryEntry"]["spec"].update(visibility={"scope": "Team", "teams": ["other"]}),
])  # fmt: skip
def test_what_may_not_run_is_taken_away(change: Break) -> None:
    assert plan_installation(installation_world(broken(change))).desired == ()


@pytest.mark.parametrize("change", [
    lambda d: d["McpInstallation"]["spec"]["entryRef"].update(name="gone"),
    lambda d: d["McpInstallation"]["spec"].update(values={}),
    lambda d: d["Secret"]["metadata"].update(name="gone"),
    lambda d: d["Environment"]["spec"].update(restricted=True),
])  # fmt: skip
def test_what_lacks_something_keeps_running_on_what_it_has(change: Break) -> None:
    assert plan_installation(installation_world(broken(change))).desired is None


def entry(**spec: Any) -> RegistryEntry:
    whole = {"title": "X", "type": "SelfHosted", "selfHosted": {"command": ["x"], "transport": "Stdio"}, **spec}
    return RegistryEntry.parse({"metadata": {"name": "x"}, "spec": whole})


SECRET_FIELD = {"name": "token", "type": "String", "secret": True}


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        ({"auth": {"type": "OAuth", "oauth": {}}}, c.NOT_IMPLEMENTED, "spec.auth.type: OAuth"),
        ({"type": "Remote", "selfHosted": None, "remote": {"url": "https://a/b", "caBundleRef": {"name": "a", "key": "b"}}}, c.NOT_IMPLEMENTED, "caBundleRef"),
        ({"selfHosted": {"command": ["x"], "transport": "Stdio", "stdio": {"sessions": "PerSession", "idleTimeout": "1s"}}}, c.INVALID, "spec.selfHosted.stdio.idleTimeout"),
        ({"selfHosted": {"command": ["x"], "transport": "Stdio", "stdio": {"maxSessions": 2}}}, c.INVALID, "sessions: PerSession"),
        ({"selfHosted": {"command": ["x"], "transport": "Stdio", "deployment": {"replicas": 2}}}, c.OVERRIDE_NOT_ALLOWED, "use spec.selfHosted.replicas"),
        ({"fields": [{"name": "a", "type": "String", "pattern": "(?=x)"}]}, c.INVALID, "spec.fields[a].pattern"),
        ({"fields": [{"name": "a", "type": "String", "pattern": "("}]}, c.INVALID, "spec.fields[a].pattern"),
        ({"fields": [{"name": "a", "type": "String", "pattern": "^h", "default": "x"}]}, c.INVALID, "spec.fields[a].default does not match"),
        ({"fields": [{"name": "a", "type": "Choice", "choices": ["b"], "default": "x"}]}, c.INVALID, "spec.fields[a].default is none of b"),
        ({"fields": [{"name": "a", "type": "Number", "default": "many"}]}, c.INVALID, "spec.fields[a].default is not a number"),
        ({"fields": [{"name": "a", "type": "Boolean", "default": "True"}]}, c.INVALID, "spec.fields[a].default is neither true nor false"),
        ({"fields": [{"name": "a", "type": "String", "default": "x\ny"}]}, c.INVALID, "spec.fields[a].default contains a line break"),
        ({"selfHosted": {"image": "ghcr.io/Acme/x", "transport": "Stdio"}}, c.INVALID, "spec.selfHosted.image"),
        ({"selfHosted": {"image": "ghcr.io/acme/../x", "transport": "Stdio"}}, c.INVALID, "spec.selfHosted.image"),
        ({"selfHosted": {"command": ["x"], "transport": "Stdio", "registryCredentials": [{"server": "https://ghcr.io", "secretRef": {"name": "x"}}]}}, c.INVALID, "registryCredentials[https://ghcr.io].server"),
        ({"selfHosted": {"command": ["x"], "transport": "Stdio", "files": [{"path": "/bridge/lib/ld.so", "value": ""}]}}, c.INVALID, "/bridge is mounted"),
        ({"selfHosted": {"command": ["x"], "transport": "Stdio", "files": [{"path": "/tmp", "value": ""}]}}, c.INVALID, "/tmp is mounted"),  # noqa: S108
        ({"selfHosted": {"command": ["x"], "transport": "Stdio", "files": [{"path": "/etc/../bridge", "value": ""}]}}, c.INVALID, "part . or .."),
        ({"type": "Remote", "selfHosted": None, "remote": {"url": "https://0x7f.1/mcp"}}, c.INVALID, "spec.remote.url: the URL's host or port is malformed"),
        ({"type": "Remote", "selfHosted": None, "remote": {"url": "https://a.example:99999/"}}, c.INVALID, "spec.remote.url: the URL's host or port is malformed"),
        ({"type": "Remote", "selfHosted": None, "remote": {"url": "https://u:planted@a.example/"}}, c.INVALID, "credential belongs in a header"),
        ({"type": "Remote", "selfHosted": None, "remote": {"url": "https://a/b"}, "headers": [{"name": "x-a", "value": "${fields.f}"}], "fields": [{"name": "f", "type": "File"}]}, c.INVALID, "field f of type File"),
        ({"discovery": {"interval": "1s"}}, c.INVALID, "spec.discovery.interval"),
        ({"selfHosted": {"command": ["x", "${fields.gone}"], "transport": "Stdio"}}, c.UNKNOWN_FIELD, "spec.selfHosted.command[1]"),
        ({"selfHosted": {"command": ["x"], "args": ["${fields.token}"], "transport": "Stdio"}, "fields": [SECRET_FIELD]}, c.SECRET_IN_PLAIN_SIGHT, "spec.selfHosted.args[0]"),
        ({"type": "Remote", "selfHosted": None, "remote": {"url": "https://a/${fields.token}"}, "fields": [SECRET_FIELD]}, c.SECRET_IN_PLAIN_SIGHT, "spec.remote.url"),
        ({"headers": [{"name": "x-a", "value": "b"}]}, c.INVALID, "a Stdio server sees no headers"),
        ({"type": "Remote", "selfHosted": None, "remote": {"url": "https://a/b"}, "headers": [{"name": "Authorization", "value": "b"}]}, c.CONFLICT, "spec.auth"),
    ],
)  # fmt: skip
@pytest.mark.requirement("REG-5")
def test_an_entry_that_cannot_be_used_says_which_field_and_why(spec: dict[str, Any], reason: str, words: str) -> None:
    problem = entry_problem(entry(**spec))

    assert problem is not None
    assert problem.reason == reason
    assert words in problem.message


@pytest.mark.parametrize(
    ("value", "escape", "expected"),
    [
        ("a/../b?c=d&e#f", in_url, "a%2F..%2Fb%3Fc%3Dd%26e%23f"),
        ("$(HOME) $x", in_container, "$$(HOME) $x"),
        ("${fields.other}", str, "${fields.other}"),
    ],
)
def test_a_value_is_text_and_never_syntax(value: str, escape: Callable[[str], str], expected: str) -> None:
    assert render("${fields.a}", FieldValues({"a": value, "other": "x"}, frozenset()), escape) == expected


def egress(**spec: Any) -> Egress:
    return Egress.model_validate({"mode": "Restricted", **spec})


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"cidrs": [{"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}]}, c.INVALID),
        ({"cidrs": [{"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8"]}]}, c.INVALID),
        ({"cidrs": [{"cidr": "169.254.169.254/32"}]}, c.FORBIDDEN),
        ({"cidrs": [{"cidr": "168.63.129.16/32"}]}, c.FORBIDDEN),
        ({"presets": ["nothing"]}, c.INVALID),
        ({"domains": [{"name": "db.data.svc"}]}, c.INVALID),
    ],
)
def test_egress_rules_that_cannot_hold_are_refused(spec: dict[str, Any], reason: str) -> None:
    problem = egress_problem(egress(**spec))

    assert problem is not None
    assert problem.reason == reason


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "status": status}


def container(state: dict[str, Any], last: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "server", "image": "i:1", "state": state, "lastState": last or {}}]}


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (pod(conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}]), c.UNSCHEDULABLE),
        (pod(**container({"waiting": {"reason": "ErrImagePull"}})), c.IMAGE_PULL_FAILED),
        (pod(**container({"waiting": {"reason": "ImagePullBackOff"}})), c.IMAGE_PULL_FAILED),
        (pod(**container({"waiting": {"reason": "CrashLoopBackOff"}}, {"terminated": {"exitCode": 3}})), c.CRASHED),
        (pod(**container({"running": {}}, {"terminated": {"exitCode": 3}})), c.CRASHED),
        (pod(**container({"running": {}})), ""),
    ],
)
def test_a_pod_that_does_not_come_up_says_why_in_one_word(found: dict[str, Any], reason: str) -> None:
    assert pod_fact(found).reason == reason


def test_the_two_words_of_the_kubelet_for_one_fault_give_one_message() -> None:
    one, other = (
        pod_fact(pod(**container({"waiting": {"reason": word, "message": word}}))) for word in ("ErrImagePull", "ImagePullBackOff")
    )

    assert one == other


@pytest.mark.parametrize(
    ("said", "log", "reason"),
    [
        ("the server exited with code 3, again and again", "", c.CRASHED),
        ("the server was killed by SIGKILL", "", c.CRASHED),
        (
            "the server exited with code 1",
            "error: Failed to fetch: `https://registry.invalid/simple/x/`\n  Caused by: dns error",
            c.PACKAGES_UNAVAILABLE,
        ),
        ("the server is starting and has not answered", "npm error code EAI_AGAIN\n", c.PACKAGES_UNAVAILABLE),
        ("the server could not be started: '/x': No such file or directory", "", c.CANNOT_START),
        ("the server does not speak MCP: planted", "planted", c.NOT_MCP),
        ("the server gave no answer to initialize within 300 s", "", c.NOT_MCP),
    ],
)
def test_what_a_bridge_says_is_recognised_and_never_repeated(said: str, log: str, reason: str) -> None:
    found = symptom("p", said, log)

    assert found is not None
    assert found.reason == reason
    assert "planted" not in found.message


@pytest.mark.parametrize("said", ["the server is starting and has not answered server/discover or initialize yet", "ok", "planted"])
def test_a_server_that_may_still_come_up_has_no_symptom(said: str) -> None:
    assert symptom("p", said, "") is None


def test_a_quota_is_named_without_what_changes_by_itself() -> None:
    message = 'pods "mcp-x-7d9-%s" is forbidden: exceeded quota: small, requested: pods=1,limits.memory=1Gi, used: pods=%d,limits.memory=0, limited: pods=9'
    one, other = (
        refused_pods({"status": {"conditions": [{"type": "ReplicaFailure", "status": "True", "message": message % args}]}})
        for args in (("abcde", 9), ("fghij", 8))
    )

    assert one == other
    assert one is not None
    assert one.reason == c.QUOTA_EXCEEDED
    assert one.message.endswith("small, requested: pods=1,limits.memory=1Gi")
