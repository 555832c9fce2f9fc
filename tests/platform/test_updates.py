"""Restarts and updates under calls: no call is lost, and no revision serves before it can."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import platform_call
from platform_cluster import SYSTEM, TENANT, PlatformCluster, entry, gateway, installation, token
from quickstart.forward import forwarded
from wharfinger_crds import names
from wharfinger_crds.token import token_text

SERVER = (Path(__file__).parents[1] / "bridge/testdata/stdio_server.py").read_text()
TOKEN = token_text("team", "UpdatesUpdatesUpdatesUpdates00")


def patient(*options: str) -> dict[str, Any]:
    return entry(
        "patient", transport="Stdio", command=["python", "/srv/server.py", *options], files=[{"path": "/srv/server.py", "value": SERVER}]
    )


@pytest.fixture
def url(platform: PlatformCluster) -> Iterator[str]:
    platform.apply(patient(), installation("patient", "patient"), gateway("updates", "patient"), token("updates", TOKEN, team="quickstart"))
    platform.ready("mcpinstallation", "patient")
    platform.ready("mcpgateway", "updates")
    with forwarded(platform.node.kubectl, platform.node.kubeconfig, SYSTEM, "service/wharfinger-gateway", 80) as port:
        address = f"http://127.0.0.1:{port}/v1/mcp/{TENANT}.updates"
        # Ready is the operator's word; the gateway learns of the new objects a moment later.
        platform.until(lambda: "result" in call(address, 0))
        yield address
    platform.run("delete", "mcpgateway", "updates", "-n", TENANT)
    platform.run("delete", "mcptoken", "updates", "-n", SYSTEM)
    platform.remove("patient")


def call(url: str, number: int, **arguments: Any) -> dict[str, Any]:
    """Call the one tool; its server answers with the request, after `delay` seconds."""
    return platform_call.call(url, TOKEN, "patient__echo", number, **arguments)


def revision(platform: PlatformCluster) -> dict[str, Any]:
    """Which pod serves: the name of the one that is ready and not on its way out; empty while there are two."""
    selector = f"{names.INSTALLATION_NAME}=patient"
    pods = platform.get("pods", "-A", "-l", selector)["items"]
    (only, *more) = pods or [{}]
    return {} if more or not only else {"name": only["metadata"]["name"]}


class Calls(threading.Thread):
    """Calls one after the other until stopped, and keeps what did not answer."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.stopped = threading.Event()
        self.made = 0
        self.failed: list[str] = []

    def run(self) -> None:
        while not self.stopped.is_set():
            self.made += 1
            answer = call(self.url, self.made, mark=self.made)
            if f'"mark": {self.made}' not in json.dumps(answer).replace("\\", ""):
                self.failed.append(json.dumps(answer)[:500])


@pytest.mark.requirement("INS-7")
def test_no_call_is_lost_while_an_installation_is_restarted_by_annotation(platform: PlatformCluster, url: str) -> None:
    before = revision(platform)
    calls = Calls(url)
    calls.start()
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(call, url, 0, delay=15)
        platform.run("annotate", "mcpinstallation", "patient", "-n", TENANT, f"{names.RESTARTED_AT}=2026-01-01T00:00:00Z")
        try:
            platform.until(lambda: (now := revision(platform)) and now != before, 90)
        finally:
            calls.stopped.set()
            calls.join()

    assert "result" in long.result()
    assert calls.made > 10
    assert calls.failed == []


@pytest.mark.requirement("INS-7", "REG-9")
def test_an_edit_of_the_entry_that_does_not_come_up_leaves_the_revision_before_it_serving(platform: PlatformCluster, url: str) -> None:
    platform.apply(patient("--exit-at-start", "4"))

    def is_said() -> bool:
        conditions = {c["type"]: c for c in platform.status("patient")["conditions"]}
        return "exited with code 4" in conditions["WorkloadAvailable"]["message"] and conditions["Ready"]["status"] == "True"

    platform.until(is_said, 90, lambda: str(platform.status("patient")))
    assert platform.status("patient")["phase"] == "Restarting"
    assert "result" in call(url, 1)

    platform.apply(patient())
    platform.until(lambda: platform.status("patient")["phase"] == "Running")
