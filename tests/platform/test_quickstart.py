"""The main job: a client calls tools of servers that the operator runs."""

import base64
import secrets

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from platform_cluster import SERVERS, SYSTEM, TENANT, PlatformCluster, token
from quickstart.call import call_both
from quickstart.forward import forwarded
from quickstart.steps import published_token
from wharfinger_crds import names
from wharfinger_crds.token import ALPHABET, token_text

TIME = names.server_name(TENANT, "time")


@pytest.mark.requirement("REG-3", "REG-4", "ORC-3", "GW-6", "AUT-4", "INS-3")
async def test_a_client_lists_the_tools_and_calls_one_of_each_server(endpoint: str) -> None:
    called = await call_both(endpoint, published_token())

    assert called.tools == ("greeter__greet", "time__convert_time", "time__get_current_time")
    assert "Bonjour, Wharfinger!" in called.calls
    assert "Europe/Berlin" in called.calls


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_the_official_client_of_either_era_gets_its_answer(mode: str, endpoint: str) -> None:
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {published_token()}"}, timeout=30)
    async with http, Client(streamable_http_client(endpoint, http_client=http), mode=mode) as client:
        result = await client.call_tool("greeter__greet", {"name": mode})

    assert f"Bonjour, {mode}!" in str(result.content)


@pytest.mark.requirement("GW-3", "AUT-4")
def test_a_token_that_is_deleted_is_out_at_once(platform: PlatformCluster, endpoint: str) -> None:
    text = token_text("team", "".join(secrets.choice(ALPHABET) for _ in range(30)))
    platform.apply(token("short-lived", text, team="quickstart"))
    platform.until(lambda: _initialize(endpoint, text).status_code == 200)

    platform.run("delete", "mcptoken", "short-lived", "-n", SYSTEM)

    platform.until(lambda: _initialize(endpoint, text).status_code == 401, 5)


HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}


def _initialize(endpoint: str, token: str) -> httpx2.Response:
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    return httpx2.post(endpoint, json=body, headers={**HEADERS, "Authorization": f"Bearer {token}"})


@pytest.mark.requirement("OPS-7")
def test_any_replica_of_the_gateway_serves_any_request_of_a_session(platform: PlatformCluster) -> None:
    platform.run("scale", "-n", SYSTEM, "deployment/wharfinger-gateway", "--replicas=2")
    platform.run("rollout", "status", "-n", SYSTEM, "deployment/wharfinger-gateway", "--timeout=60s")
    try:
        pods = platform.get("pods", "-n", SYSTEM, "-l", "app.kubernetes.io/component=gateway", "--field-selector=status.phase=Running")[
            "items"
        ]
        one, other = [p["metadata"]["name"] for p in pods if "deletionTimestamp" not in p["metadata"]]
        access = (platform.node.kubectl, platform.node.kubeconfig, SYSTEM)
        with forwarded(*access, f"pod/{one}", 8080) as first, forwarded(*access, f"pod/{other}", 8080) as second:
            opened = _initialize(f"http://127.0.0.1:{first}/v1/mcp/quickstart.demo", published_token())
            headers = {**HEADERS, "Authorization": f"Bearer {published_token()}", "Mcp-Session-Id": opened.headers["Mcp-Session-Id"]}
            listed = httpx2.post(
                f"http://127.0.0.1:{second}/v1/mcp/quickstart.demo",
                json={"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
                headers=headers,
            )
    finally:
        platform.run("scale", "-n", SYSTEM, "deployment/wharfinger-gateway", "--replicas=1")

    assert [tool["name"] for tool in listed.json()["result"]["tools"]] == ["greeter__greet", "time__convert_time", "time__get_current_time"]


@pytest.mark.requirement("ORC-8")
def test_a_server_runs_without_root_rights_token_or_writable_root(platform: PlatformCluster) -> None:
    probe = (
        "import os, pathlib; "
        "status = dict(l.split(':\\t', 1) for l in open('/proc/self/status').read().splitlines() if ':\\t' in l); "
        "print(os.getuid(), status['CapEff'].strip(), status['NoNewPrivs'].strip(), status['Seccomp'].strip(), "
        "os.access('/', os.W_OK), os.access('/tmp', os.W_OK), os.access(os.environ['HOME'], os.W_OK), "
        "pathlib.Path('/var/run/secrets/kubernetes.io').exists())"
    )
    facts = platform.run("exec", "-n", SERVERS, f"deployment/{TIME}", "--", "python", "-c", probe).split()

    assert facts == ["65532", "0" * 16, "1", "2", "False", "True", "True", "False"]


@pytest.mark.requirement("ENV-4", "ENV-7")
def test_a_server_is_reached_by_gateway_and_operator_only_and_reaches_nothing(platform: PlatformCluster) -> None:
    greeter = names.server_name(TENANT, "greeter")
    address = platform.get("service", greeter, "-n", SERVERS)["spec"]["clusterIP"]
    api = platform.get("service", "kubernetes", "-n", "default")["spec"]["clusterIP"]

    platform.until(lambda: platform.reaches("wharfinger-gateway", address, 8080, SYSTEM))
    assert not platform.reaches(TIME, address, 8080)
    assert not platform.reaches(TIME, api, 443)
    assert platform.reaches("wharfinger-gateway", api, 443, SYSTEM), "the target of the refusal is there"


@pytest.mark.requirement("REG-5", "GW-7")
def test_no_secret_value_stands_in_a_log_a_status_an_event_or_a_spec(platform: PlatformCluster) -> None:
    connection = platform.get("secret", names.connection_name(TENANT, "time"), "-n", SYSTEM)
    assert connection
    bridge_token = platform.run("get", "secret", f"{TIME}-bridge", "-n", SERVERS, "-o", "jsonpath={.data.token}")
    planted = ("not-a-real-secret", published_token(), _decoded(bridge_token))
    seen = [
        platform.run("get", kind, "-A", "-o", "yaml")
        for kind in ("mcp", "pods", "deployments", "events", "configmaps", "networkpolicies", "services")
    ]
    for namespace in (SYSTEM, SERVERS):
        pods = [pod["metadata"]["name"] for pod in platform.get("pods", "-n", namespace)["items"]]
        seen += [platform.run("logs", "-n", namespace, pod, "--all-containers", "--tail=-1", check=False) for pod in pods]

    assert [value for value in planted for text in seen if value in text] == []


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()


def test_every_manifest_of_the_example_is_ready(platform: PlatformCluster) -> None:
    for kind, name in (("mcpregistryentry", "time"), ("mcpregistryentry", "greeter"), ("environment", "quickstart")):
        platform.ready(kind, name)
    platform.ready("mcptoken", "quickstart", SYSTEM)
