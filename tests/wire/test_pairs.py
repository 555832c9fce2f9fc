"""Everything that MCP can do, for each kind of client with each kind of server, through three replicas of the gateway in turn."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import pytest
import pytest_asyncio
from mcp_types import PromptReference, TextContent, TextResourceContents

from conformance_gateway import UPSTREAMS, UpstreamName, conformance_gateway, upstreams
from eventually import eventually
from everything_server.prompts import PROMPTS
from everything_server.resources import RESOURCES
from everything_server.tools import TOOLS
from free_port import free_port
from gateway_world import ALICE
from pair_client import CLIENTS, NAMED, WATCHED, ClientName, PairClient, pair_client, told_of_changes
from tcp_balancer import tcp_balancer

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.requirement("GW-4", "GW-5", "GW-16"),
    # What the newest revision has done away with is what the older ones are asked for.
    pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning"),
    pytest.mark.parametrize("client", CLIENTS),
]


def servers(*, without: UpstreamName | None = None) -> pytest.MarkDecorator:
    """Try a test with each kind of server."""
    return pytest.mark.parametrize("server", [name for name in UPSTREAMS if name != without])


Connect = Callable[[], AbstractAsyncContextManager[PairClient]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def base(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The URL of what stands for the replicas' Service: each request is a connection of its own, and comes in by the next replica."""
    home, port = tmp_path_factory.mktemp("pairs"), free_port()
    async with (
        upstreams(home) as urls,
        conformance_gateway(urls, home, replicas=3) as running,
        tcp_balancer(port, lambda: [one.url.removeprefix("http://") for one in running]),
    ):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def connect(client: ClientName, server: UpstreamName, base: str) -> Connect:
    return partial(pair_client, client, f"{base}/v1/mcp/dev.{server}", ALICE)


@servers()
async def test_tools_are_listed_and_called_and_their_errors_are_results(connect: Connect) -> None:
    async with connect() as connected:
        listed = {tool.name for tool in (await connected.session.list_tools()).tools}
        failed = await connected.session.call_tool("t__test_error_handling", {})

        assert listed == {f"t__{name}" for name in TOOLS}
        assert await connected.call("test_simple_text") == "This is a simple text response for testing."
        assert failed.is_error


@servers()
async def test_prompts_are_listed_and_filled_in(connect: Connect) -> None:
    async with connect() as connected:
        listed = {prompt.name for prompt in (await connected.session.list_prompts()).prompts}
        filled = await connected.session.get_prompt("t__test_prompt_with_arguments", {"arg1": "a", "arg2": "b"})

        assert listed == {f"t__{name}" for name in PROMPTS}
        assert [one.content for one in filled.messages] == [TextContent(text="Prompt with arguments: arg1='a', arg2='b'")]


@servers()
async def test_resources_are_listed_and_read_by_template_as_well(connect: Connect) -> None:
    async with connect() as connected:
        listed = {str(one.uri) for one in (await connected.session.list_resources()).resources}
        templates = [one.uri_template for one in (await connected.session.list_resource_templates()).resource_templates]
        (plain,) = (await connected.session.read_resource("test://static-text")).contents
        (filled,) = (await connected.session.read_resource("test://template/7/data")).contents

        assert (listed, templates) == (set(RESOURCES), ["test://template/{id}/data"])
        assert isinstance(plain, TextResourceContents)
        assert plain.text == RESOURCES["test://static-text"]["text"]
        assert isinstance(filled, TextResourceContents)
        assert "Data for ID: 7" in filled.text


@servers()
async def test_an_argument_is_completed(connect: Connect) -> None:
    async with connect() as connected:
        reference = PromptReference(name="t__test_prompt_with_arguments")

        completed = await connected.session.complete(reference, {"name": "arg1", "value": "par"})

        assert completed.completion.values == ["paris", "park", "party"]


@servers()
async def test_each_log_is_told_once_in_order_unless_callers_share_the_session(
    client: ClientName, server: UpstreamName, connect: Connect
) -> None:
    async with connect() as connected:
        await connected.call("test_tool_with_logging")

        # What a process that callers share says belongs to none of them, where it does not name the call.
        told = server != "stdio"
        expected = ["Tool execution started", "Tool processing data", "Tool execution completed"] if told else []
        assert connected.logged == expected


@servers()
async def test_each_progress_is_told_once_in_order(connect: Connect) -> None:
    async with connect() as connected:
        heard: list[float] = []

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            heard.append(progress)

        await connected.call("test_tool_with_progress", progress_callback=hear)

        assert heard == [0, 50, 100]


@servers()
async def test_a_call_that_its_client_ends_is_ended_at_the_server(client: ClientName, server: UpstreamName, connect: Connect) -> None:
    async with connect() as connected:
        begun = asyncio.Event()

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            begun.set()

        word = f"{client}-{server}"
        call = asyncio.create_task(connected.call("test_wait", {"word": word}, progress_callback=hear))
        await begun.wait()
        call.cancel()

        async with asyncio.timeout(20):
            while word not in (await connected.call("test_given_up")).split():
                pass


# Which tools there are is found out by the operator, in a session of its own.
@servers(without="session")
async def test_a_client_is_told_that_the_tools_have_changed_and_sees_the_new_list(client: ClientName, connect: Connect) -> None:
    async with connect() as connected, told_of_changes(connected, client):
        before = await connected.descriptions()
        await connected.call("test_trigger_tool_change")
        await eventually(lambda: "tools" in connected.changed)

        assert await connected.descriptions() != before


@servers()
@pytest.mark.parametrize("kind", ["prompt", "resource"])
async def test_a_client_is_told_that_prompts_or_resources_have_changed(client: ClientName, kind: str, connect: Connect) -> None:
    async with connect() as connected, told_of_changes(connected, client):
        await connected.call(f"test_trigger_{kind}_change")

        await eventually(lambda: f"{kind}s" in connected.changed)


# A process that callers share takes no subscriptions.
@servers(without="stdio")
async def test_a_client_is_told_that_a_resource_has_changed_which_it_watches(client: ClientName, connect: Connect) -> None:
    async with connect() as connected, told_of_changes(connected, client):
        # A client without sessions has a process of its own at each replica: one of three calls comes in where it listens.
        async with asyncio.timeout(20):
            while WATCHED not in connected.changed:
                await connected.call("test_trigger_resource_update", {"uri": WATCHED})


@servers()
async def test_the_user_is_asked_to_fill_in_a_form(connect: Connect) -> None:
    async with connect() as connected:
        said = await connected.call("test_elicitation", {"message": "Who?"})

        assert all(word in said for word in NAMED.values()), said


@servers()
async def test_the_user_is_asked_to_open_a_page(connect: Connect) -> None:
    async with connect() as connected:
        assert "accept" in await connected.call("test_url_elicitation")


@servers()
async def test_the_clients_model_is_asked(connect: Connect) -> None:
    async with connect() as connected:
        assert "said by the client's model" in await connected.call("test_sampling", {"prompt": "Say something"})


@servers()
async def test_the_client_is_asked_for_its_roots(connect: Connect) -> None:
    async with connect() as connected:
        assert "file:///home/ann" in await connected.call("test_input_required_result_list_roots")
