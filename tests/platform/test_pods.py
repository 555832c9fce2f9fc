"""What an entry asks of its pod, seen from inside of one."""

import base64
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from platform_cluster import SERVERS, SYSTEM, TENANT, PlatformCluster, entry, installation
from quickstart.forward import forwarded
from wharfinger_crds import names
from wharfinger_crds.connection import read_connection

MUSL = "localhost/musl-server:test"
WRITES = 'echo x > "$HOME/kept" && echo x > /tmp/kept && exec /usr/bin/stdio-server'
SERVER = (Path(__file__).parents[1] / "bridge/testdata/stdio_server.py").read_text()


def pod_of(platform: PlatformCluster, name: str) -> dict[str, Any]:
    (found,) = platform.get("pods", "-n", SERVERS, "-l", f"{names.INSTALLATION_NAME}={name}")["items"]
    pod: dict[str, Any] = found
    return pod


@pytest.mark.requirement("ORC-8")
def test_an_image_whose_user_is_a_name_runs_under_a_number_and_can_write_to_its_home_and_tmp(platform: PlatformCluster) -> None:
    command = ["/bin/sh", "-c", WRITES]
    platform.apply(entry("writes", image=MUSL, command=command, transport="Stdio"), installation("writes", "writes"))
    try:
        # It says that it speaks MCP only where both writes succeeded.
        platform.ready("mcpinstallation", "writes")

        name = pod_of(platform, "writes")["metadata"]["name"]
        context = ("exec", "-n", SERVERS, name, "-c", names.SERVER_CONTAINER, "--", "/bin/busybox")
        assert int(platform.run(*context, "id", "-u")) >= 1000
        assert "Permission denied" in refused(platform, *context, "touch", "/etc/kept") or "Read-only" in refused(
            platform, *context, "touch", "/etc/kept"
        )
    finally:
        platform.remove("writes")


def refused(platform: PlatformCluster, *command: str) -> str:
    with pytest.raises(AssertionError) as found:
        platform.run(*command)
    return str(found.value)


@pytest.mark.requirement("ORC-2")
def test_a_server_with_a_process_for_each_session_starts_none_before_it_is_asked_and_one_for_each(platform: PlatformCluster) -> None:
    hosted = {
        "transport": "Stdio", "command": ["python", "/srv/server.py"], "files": [{"path": "/srv/server.py", "value": SERVER}],
        "stdio": {"sessions": "PerSession", "maxSessions": 2, "idleTimeout": "10s"},
    }  # fmt: skip
    platform.apply(entry("sessions", **hosted), installation("sessions", "sessions"))
    try:
        found = platform.ready("mcpinstallation", "sessions")

        assert "echo" in found["status"]["tools"]["names"]
        pod = pod_of(platform, "sessions")["metadata"]["name"]

        def children() -> int:
            listed = platform.run("exec", "-n", SERVERS, pod, "-c", names.SERVER_CONTAINER, "--", "python", "-c", COUNT)
            return int(listed)

        # The question for its tools was a session too; it has ended, or does so when nobody used it for ten seconds.
        platform.until(lambda: children() == 0)
        with (
            forwarded(platform.node.kubectl, platform.node.kubeconfig, SERVERS, f"pod/{pod}", 8080) as port,
            bridge(platform, port) as client,
        ):
            opened = [begin(client), begin(client)]
            assert children() == 2
            for session in opened:
                client.delete("/mcp", headers={"Mcp-Session-Id": session})
            platform.until(lambda: children() == 0)
    finally:
        platform.remove("sessions")


def bridge(platform: PlatformCluster, port: int) -> httpx2.Client:
    """Return a client that the bridge takes for a gateway."""
    secret = platform.get("secret", names.connection_name(TENANT, "sessions"), "-n", SYSTEM)
    connection = read_connection(base64.b64decode(secret["data"][names.CONNECTION_KEY]))
    headers = {header.name: header.value for header in connection.headers}
    return httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30)


def begin(client: httpx2.Client) -> str:
    """Begin a session, and return its id."""
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    answer = client.post("/mcp", json=message, headers={"Accept": "application/json, text/event-stream"})
    assert answer.status_code == 200, answer.text
    return answer.headers["Mcp-Session-Id"]


COUNT = """
import pathlib
lines = [p.read_bytes().split(b"\\0") for p in pathlib.Path("/proc").glob("[0-9]*/cmdline")]
print(sum(1 for line in lines if line[:2] == [b"python", b"/srv/server.py"]))
"""


@pytest.mark.requirement("ORC-6")
def test_a_sidecar_runs_beside_the_server_under_the_same_limits(platform: PlatformCluster) -> None:
    sidecar = {"name": "beside", "image": MUSL, "command": ["/bin/sh", "-c", "echo started; while true; do /bin/busybox sleep 1; done"]}
    override = {"template": {"spec": {"containers": [sidecar]}}}
    hosted = {"image": "localhost/distroless-server:test", "command": ["/stdio-server"], "transport": "Stdio", "deployment": override}
    platform.apply(entry("beside", **hosted), installation("beside", "beside"))
    try:
        platform.ready("mcpinstallation", "beside")

        pod = pod_of(platform, "beside")
        running = {one["name"]: "running" in one["state"] for one in pod["status"]["containerStatuses"]}
        assert running == {names.SERVER_CONTAINER: True, "beside": True}
        (context,) = [c["securityContext"] for c in pod["spec"]["containers"] if c["name"] == "beside"]
        assert context["capabilities"] == {"drop": ["ALL"]}, json.dumps(context)
        assert platform.run("logs", "-n", SERVERS, pod["metadata"]["name"], "-c", "beside") == "started\n"
    finally:
        platform.remove("beside")


@pytest.mark.requirement("REG-5")
def test_a_field_of_each_type_reaches_the_environment_and_a_file_as_it_was_given(platform: PlatformCluster) -> None:
    values = {"text": 'a "$(HOME)" ${b}', "count": "-1.5e3", "flag": "true", "choice": "b", "config": "[x]\n  y = 'z'\n"}
    template = "".join(f"<${{fields.{name}}}>" for name in values)
    hosted = {
        "transport": "Stdio", "command": ["python", "-c", READ_BACK], "files": [{"path": "/etc/server/all.conf", "value": template}],
        "env": [{"name": name.upper(), "value": f"${{fields.{name}}}"} for name in values if name != "config"],
    }  # fmt: skip
    declared = entry("typed", **hosted)
    declared["spec"]["fields"] = [
        {"name": "text", "type": "String"}, {"name": "count", "type": "Number"}, {"name": "flag", "type": "Boolean"},
        {"name": "choice", "type": "Choice", "choices": ["a", "b"]}, {"name": "config", "type": "File"},
    ]  # fmt: skip
    platform.apply(declared, installation("typed", "typed", **values))
    try:
        platform.ready("mcpinstallation", "typed")

        (line,) = [line for line in platform.logs("typed").splitlines() if line.startswith("read back ")]
        found = json.loads(line.removeprefix("read back "))
        assert found["file"] == "".join(f"<{value}>" for value in values.values())
        assert found["env"] == {name.upper(): value for name, value in values.items() if name != "config"}
    finally:
        platform.remove("typed")


READ_BACK = """
import json, os, pathlib, sys
env = {name: os.environ[name] for name in ("TEXT", "COUNT", "FLAG", "CHOICE")}
print("read back", json.dumps({"env": env, "file": pathlib.Path("/etc/server/all.conf").read_text()}), file=sys.stderr, flush=True)
os.execvp("mcp-server-time", ["mcp-server-time"])
"""
