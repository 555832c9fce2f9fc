"""Logs of an installation, for who may read them and nobody else, without its secrets."""

import base64
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from platform_cluster import SYSTEM, TENANT, PlatformCluster, entry, installation
from quickstart.forward import forwarded
from wharfinger_crds import names

PLANTED, ROTATED = "planted-0123456789", "planted-9876543210"
TALKATIVE = """
import base64, os, sys
token = os.environ["TOKEN"]
print("here is", token, "and", base64.b64encode(token.encode()).decode(), file=sys.stderr, flush=True)
os.execvp("mcp-server-time", ["mcp-server-time"])
"""
CRASHES_ONCE = """
import os, pathlib, time
runs = pathlib.Path("/tmp/runs")
before = len(runs.read_text()) if runs.exists() else 0
runs.write_text("x" * (before + 1))
print("run", before + 1, "with", os.environ["TOKEN"], flush=True)
if not before:
    raise SystemExit(7)
time.sleep(3600)
"""
GREETER = "localhost/wharfinger-example-greeter:dev"
FIELDS = [{"name": "token", "type": "String", "secret": True, "required": True}]
VALUES = [{"field": "token", "secretKeyRef": {"name": "talkative", "key": "token"}}]
ACCOUNTS = ("log-reader", "log-stranger")


def rbac(kind: str, name: str, **body: Any) -> dict[str, Any]:
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name, "namespace": TENANT}, **body}


@pytest.fixture(scope="module")
def address(platform: PlatformCluster) -> Iterator[str]:
    talkative = entry(
        "talkative", command=["python", "-c", TALKATIVE], transport="Stdio", env=[{"name": "TOKEN", "value": "${fields.token}"}]
    )
    talkative["spec"]["fields"] = FIELDS
    installed = installation("talkative", "talkative")
    installed["spec"]["valuesFrom"] = VALUES
    rule = {"apiGroups": [names.GROUP], "resources": ["mcpinstallations/log"], "verbs": ["get"]}
    platform.apply(
        secret(PLANTED), talkative, installed,
        *({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": TENANT}} for name in ACCOUNTS),
        rbac("Role", "log-reader", rules=[rule]),
        rbac(
            "RoleBinding", "log-reader", roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "log-reader"},
            subjects=[{"kind": "ServiceAccount", "name": "log-reader", "namespace": TENANT}],
        ),
    )  # fmt: skip
    platform.ready("mcpinstallation", "talkative")
    with forwarded(platform.node.kubectl, platform.node.kubeconfig, SYSTEM, "service/wharfinger-operator", 80) as port:
        yield f"http://127.0.0.1:{port}/v1/logs/{TENANT}"
    platform.remove("talkative")
    platform.run("delete", "secret,role,rolebinding,serviceaccount", "talkative", *ACCOUNTS, "-n", TENANT, "--ignore-not-found")


def secret(value: str) -> dict[str, Any]:
    metadata = {"name": "talkative", "namespace": TENANT, "labels": {names.USABLE: "true"}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"token": value}}


def token(platform: PlatformCluster, account: str, *options: str) -> str:
    return platform.run("create", "token", account, "-n", TENANT, *options).strip()


def read(url: str, bearer: str, **query: str) -> httpx2.Response:
    return httpx2.get(url, params=query, headers={"Authorization": f"Bearer {bearer}"} if bearer else {}, timeout=30)


@pytest.mark.requirement("INS-9")
@pytest.mark.parametrize("options", [("--audience", names.GROUP), ()], ids=["own-audience", "api-server"])
def test_who_may_read_it_gets_the_log_without_the_secret_values(options: tuple[str, ...], platform: PlatformCluster, address: str) -> None:
    answer = read(f"{address}/talkative", token(platform, "log-reader", *options))

    assert answer.status_code == 200
    assert "here is [redacted] and [redacted]" in answer.text
    assert "planted" not in answer.text
    assert base64.b64encode(PLANTED.encode()).decode() not in answer.text


@pytest.mark.requirement("INS-9")
def test_who_may_not_read_it_learns_nothing_about_it(platform: PlatformCluster, address: str) -> None:
    stranger = token(platform, "log-stranger")

    there, absent = read(f"{address}/talkative", stranger), read(f"{address}/absent", stranger)

    assert (there.status_code, absent.status_code) == (403, 403)
    assert there.text.replace("talkative", "absent") == absent.text


def test_without_a_good_token_nothing_is_answered(platform: PlatformCluster, address: str) -> None:
    foreign = token(platform, "log-reader", "--audience", "somebody-else")

    assert [read(f"{address}/talkative", bearer).status_code for bearer in ("", "nonsense", foreign, "x" * 4000)] == [401] * 4


@pytest.mark.parametrize(
    ("query", "words"),
    [({"tailLines": "0"}, "tailLines"), ({"tailLines": "9999999"}, "tailLines"), ({"previous": "1"}, "previous"), ({"f": "1"}, "f")],
)
def test_a_wrong_parameter_is_named(query: dict[str, str], words: str, platform: PlatformCluster, address: str) -> None:
    answer = read(f"{address}/talkative", token(platform, "log-reader"), **query)

    assert answer.status_code == 400
    assert words in answer.text


def test_an_absent_installation_and_a_run_that_never_was_are_said(platform: PlatformCluster, address: str) -> None:
    reader = token(platform, "log-reader")

    assert read(f"{address}/absent", reader).status_code == 404
    assert read(f"{address}/..%2F..", reader).status_code == 404
    assert "no previous run" in read(f"{address}/talkative", reader, previous="true").text


@pytest.mark.requirement("INS-9")
def test_of_a_run_that_crashed_the_log_is_there_and_redacted(platform: PlatformCluster, address: str) -> None:
    env = [{"name": "TOKEN", "value": "${fields.token}"}]
    crashing = entry("crashed", image=GREETER, command=["python", "-c", CRASHES_ONCE], transport="StreamableHTTP", env=env)
    crashing["spec"]["fields"] = FIELDS
    installed = installation("crashed", "crashed")
    installed["spec"]["valuesFrom"] = VALUES
    platform.apply(crashing, installed)
    reader = token(platform, "log-reader")
    try:
        platform.until(lambda: "run 2" in read(f"{address}/crashed", reader).text, 90)

        assert read(f"{address}/crashed", reader, previous="true").text == "run 1 with [redacted]\n"
        assert "run 1" not in read(f"{address}/crashed", reader).text
    finally:
        platform.remove("crashed")


@pytest.mark.requirement("INS-9", "ORC-5")
def test_a_rotated_secret_rolls_the_pods_and_neither_value_is_shown(platform: PlatformCluster, address: str) -> None:
    reader = token(platform, "log-reader")
    before = {line for line in platform.caused("talkative") if line.startswith("Pod/")}
    platform.apply(secret(ROTATED))

    def has_rolled() -> bool:
        pods = {line for line in platform.caused("talkative") if line.startswith("Pod/")}
        assert "planted" not in read(f"{address}/talkative", reader).text
        return len(pods) == 1 and pods.isdisjoint(before)

    platform.until(has_rolled)
    assert "here is [redacted]" in read(f"{address}/talkative", reader).text
