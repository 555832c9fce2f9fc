"""What goes wrong with a real pod, and the words that somebody with kubectl gets for it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from argo_health import objections
from platform_cluster import SERVERS, TENANT, PlatformCluster, entry, installation
from wharfinger_crds.kinds import GRANT, KINDS

GREETER = "localhost/wharfinger-example-greeter:dev"
NOT_MCP = """
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    if "id" in request:
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32601, "message": "planted-words"}}), flush=True)
"""
SLOW = "import os, time; time.sleep(8); os.execvp('mcp-server-time', ['mcp-server-time'])"


@dataclass(frozen=True)
class Case:
    """An entry that cannot come up, and what its installation says then."""

    hosted: dict[str, Any]
    phase: str
    reason: str
    words: str
    spec: dict[str, Any] = field(default_factory=dict)


def stdio(*command: str, **hosted: Any) -> dict[str, Any]:
    return {"command": list(command), "transport": "Stdio", **hosted}


CASES = {
    "no-image": Case(stdio("x", image="localhost/no-such-image:none"), "Error", "ImagePullFailed", "localhost/no-such-image:none cannot be pulled"),
    "exits": Case(stdio("python", "-c", "raise SystemExit(3)"), "Error", "Crashed", "exited with code 3"),
    "exits-http": Case(
        {"image": GREETER, "command": ["python", "-c", "raise SystemExit(7)"], "transport": "StreamableHTTP"}, "Error", "Crashed", "exit code 7"
    ),
    "no-program": Case(stdio("/no/such/program"), "Error", "CannotStart", "is there such a program?"),
    "no-mcp": Case(stdio("python", "-c", NOT_MCP), "Error", "NotMcp", "does not speak MCP"),
    "no-packages": Case(stdio("uvx", "mcp-server-fetch"), "Error", "PackagesUnavailable", "spec.egress of the environment"),
    "wrong-port": Case(
        {"image": GREETER, "transport": "StreamableHTTP", "http": {"port": 9999}, "env": [{"name": "GREETER_KEY", "value": "x"}]},
        "Pending", "Progressing", "nothing listens on port 9999",
    ),
    "wrong-port-for-long": Case(
        {"image": GREETER, "transport": "StreamableHTTP", "http": {"port": 9998}, "deployment": {"progressDeadlineSeconds": 20}, "env": [{"name": "GREETER_KEY", "value": "x"}]},
        "Error", "NotListening", "the server runs, and nothing listens on port 9998 of its pod: is that spec.selfHosted.http.port?",
    ),
    "no-secret": Case(
        stdio("mcp-server-time", env=[{"name": "TOKEN", "value": "${fields.token}"}]), "Error", "SecretMissing", "there is no Secret absent",
        {"valuesFrom": [{"field": "token", "secretKeyRef": {"name": "absent", "key": "token"}}]},
    ),
}  # fmt: skip
FIELDS = [{"name": "token", "type": "String", "secret": True}]


@pytest.fixture(scope="module")
def failing(platform: PlatformCluster) -> Iterator[PlatformCluster]:
    """All of them at once, so that each test only waits for its own."""
    entries = [entry(name, **case.hosted) for name, case in CASES.items()]
    installations = [installation(name, name) for name in CASES]
    for one, other, case in zip(entries, installations, CASES.values(), strict=True):
        one["spec"]["fields"] = FIELDS
        other["spec"].update(case.spec)
    platform.apply(*entries, *installations)
    yield platform
    for name in CASES:
        platform.remove(name)


@pytest.mark.requirement("INS-6")
@pytest.mark.parametrize("name", CASES)
def test_what_keeps_a_server_from_running_is_named_in_its_status(name: str, failing: PlatformCluster) -> None:
    case = CASES[name]

    def is_said() -> bool:
        status = failing.status(name)
        ready: dict[str, str] = next((c for c in status.get("conditions", ()) if c["type"] == "Ready"), {})
        return (status.get("phase"), ready.get("reason")) == (case.phase, case.reason) and case.words in ready["message"]

    failing.until(is_said, 150, lambda: failing.run("get", "mcpinstallation", name, "-n", TENANT, "-o", "yaml") + failing.logs(name))
    assert "planted" not in failing.run("get", "mcpinstallation", name, "-n", TENANT, "-o", "yaml")


@pytest.mark.requirement("OPS-1")
def test_argo_cd_and_kstatus_read_all_that_is_there_alike(failing: PlatformCluster) -> None:
    kinds = ",".join(kind.resource for kind in KINDS if kind is not GRANT)

    found = failing.get(kinds, "-A")["items"]

    assert {one["kind"] for one in found} >= {"McpInstallation", "McpRegistryEntry", "Environment", "McpGateway"}
    assert objections(found) == []


@pytest.mark.requirement("INS-6")
def test_a_slow_start_is_pending_and_then_runs(platform: PlatformCluster) -> None:
    platform.apply(entry("slow", **stdio("python", "-c", SLOW)), installation("slow", "slow"))
    try:
        platform.until(lambda: platform.status("slow").get("phase") == "Pending")
        seen = set()

        def runs() -> bool:
            seen.add(platform.status("slow").get("phase"))
            return "Running" in seen

        platform.until(runs)
        assert seen == {"Pending", "Running"}
    finally:
        platform.remove("slow")


@pytest.mark.requirement("INS-6")
def test_without_a_node_that_takes_it_a_server_is_unschedulable_and_then_runs(platform: PlatformCluster) -> None:
    nodes = [n["metadata"]["name"] for n in platform.get("nodes")["items"]]
    platform.run("cordon", *nodes)
    try:
        platform.apply(installation("homeless", "time"))
        platform.until(lambda: reason(platform, "homeless") == "Unschedulable", explain=lambda: str(platform.status("homeless")))
        assert platform.status("homeless")["phase"] == "Error"
    finally:
        platform.run("uncordon", *nodes)
    platform.ready("mcpinstallation", "homeless", seconds=90)
    platform.run("delete", "mcpinstallation", "homeless", "-n", TENANT)


@pytest.mark.requirement("INS-6")
def test_an_exceeded_quota_is_named_and_a_raised_one_lets_the_server_run(platform: PlatformCluster) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "no-pods", "namespace": SERVERS},
        "spec": {"hard": {"pods": "0"}},
    }
    platform.apply(quota)
    try:
        # The quota counts once its controller has seen it.
        platform.until(lambda: platform.get("resourcequota", "no-pods", "-n", SERVERS).get("status", {}).get("hard"))
        platform.apply(installation("poor", "time"))
        platform.until(lambda: reason(platform, "poor") == "QuotaExceeded", explain=lambda: str(platform.status("poor")))
        (message,) = {c["message"] for c in platform.status("poor")["conditions"] if c["reason"] == "QuotaExceeded"}
        assert "no-pods" in message
        assert names_no_pod(message)
    finally:
        platform.run("delete", "resourcequota", "no-pods", "-n", SERVERS)
    platform.ready("mcpinstallation", "poor", seconds=120)
    platform.run("delete", "mcpinstallation", "poor", "-n", TENANT)


def names_no_pod(message: str) -> bool:
    return "mcp-poor" not in message


def reason(platform: PlatformCluster, name: str) -> str:
    found: dict[str, str] = {c["type"]: c["reason"] for c in platform.status(name).get("conditions", ())}
    return found.get("Ready", "")
