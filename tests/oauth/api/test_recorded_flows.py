"""What clients in the field really send, from the first request to a tool's answer: one file for each way one of them comes in."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

import authorization_scene
from authorization_scene import Scene
from document_host import document_host
from faulty_proxy import FaultyProxy
from gateway_upstream import UpstreamServer
from recorded_flow import SECONDS, Flow, Recorded, published

FLOWS = [Flow.read(path) for path in sorted((Path(__file__).parent / "testdata").glob("*.yaml"))]
PROGRAM = [str(Path(authorization_scene.__file__).with_name("gateway_with_documents.py"))]
SECRETS = {"access_token", "refresh_token", "client_secret", "secret", "code", "verifier", "session"}
"""Of what a client knows."""
NAMES = ("claude.ai", "chatgpt.com", "vscode.dev")


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


@pytest.fixture
def kubeconfig(empty: Scene, proxy: FaultyProxy, tmp_path: Path) -> Path:
    return Path(empty.platform.kubeconfig(tmp_path / "kubeconfig", proxy.url))


async def client_of(flow: Flow, empty: Scene, server: UpstreamServer, kubeconfig: Path, stack: AsyncExitStack) -> Recorded:
    """Give the client a gateway, in an internet in which there is nothing but what its maker publishes."""
    site = await stack.enter_async_context(document_host(*NAMES))
    for path, content in published(flow).items():
        site.put(path, content)
    certificate = kubeconfig.with_name("site.pem")
    certificate.write_text(site.certificate)
    await empty.prepare(server.url, oauth=flow.oauth)
    environment = {"DOCUMENTS_PORT": str(site.port), "SSL_CERT_FILE": str(certificate), "WHARFINGER_LOG_LEVEL": "DEBUG"}
    await stack.enter_async_context(authorization_scene.running(empty, kubeconfig, program=PROGRAM, environment=environment))
    http, browser = [await stack.enter_async_context(httpx.AsyncClient(timeout=SECONDS)) for _ in range(2)]
    return Recorded(empty, http, browser, dict(flow.known))


@pytest.mark.requirement("AUT-1")
@pytest.mark.parametrize("flow", FLOWS, ids=[flow.name for flow in FLOWS])
async def test_a_client_of_the_field_comes_from_its_first_request_to_a_tools_answer(
    flow: Flow, empty: Scene, server: UpstreamServer, kubeconfig: Path, stack: AsyncExitStack
) -> None:
    recorded = await client_of(flow, empty, server, kubeconfig, stack)
    *before, last = flow.requests
    await recorded.replay(before)
    # A client that waits ten seconds for `initialize` waits for no server.
    assert not server.requests
    answer = await recorded.send(last)
    assert last["json"]["method"] == "tools/call"
    assert last["json"]["params"]["arguments"]["text"] in str(answer["result"]["content"])
    assert len(server.calls()) == 1
    written = "\n".join([*empty.replicas[0].out, *empty.replicas[0].err])
    assert [name for name in SECRETS & recorded.known.keys() if recorded.known[name] in written] == []
    assert "httpcore" in written
