"""What an entry asks of its pod, seen from inside of one."""

import json
from pathlib import Path
from typing import Any

import pytest

from platform_cluster import SERVERS, PlatformCluster, entry, installation
from wharfinger_crds import names

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
def test_a_server_with_a_process_for_each_session_starts_none_before_it_is_asked(platform: PlatformCluster) -> None:
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
    finally:
        platform.remove("sessions")


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
