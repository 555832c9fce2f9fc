"""Faults in the watches of our own kinds: the process goes on, sees what changed meanwhile, and deletes nothing by mistake."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import msgspec
import pytest

from faulty_platform import SECONDS, complete, of
from faulty_proxy import FaultyProxy, Which, lists, status_of, watches
from operator_platform import Platform, until
from operator_process import OperatorProcess
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_crds import names
from wharfinger_crds.kinds import ENVIRONMENT, GATEWAY, INSTALLATION, REGISTRY_ENTRY, TOKEN, Kind

KINDS: Final = (INSTALLATION, REGISTRY_ENTRY, ENVIRONMENT, GATEWAY, TOKEN)
Fault = Callable[[FaultyProxy, Which], Awaitable[None]]


def injected(line: bytes) -> Fault:
    async def fault(proxy: FaultyProxy, which: Which) -> None:
        await proxy.inject(line, which)

    return fault


def error_event(code: int) -> Fault:
    return injected(msgspec.json.encode({"type": "ERROR", "object": status_of(code)}))


def answered(status: int, *, times: float = 2, **headers: str) -> Fault:
    """Answer watches so, and cut those that are open."""

    async def fault(proxy: FaultyProxy, which: Which) -> None:
        proxy.answer(status, which, times=times, headers={name.replace("_", "-"): value for name, value in headers.items()})
        proxy.cut_watches(which)

    return fault


async def truncated(proxy: FaultyProxy, which: Which) -> None:
    await proxy.truncate(b'{"type":"MODIFIED","object":{"apiVersion":"wharfin', which)


PAGE: Final = injected(b"<html>a page of a load balancer</html>")
ERROR_410: Final = error_event(410)
FAULTS: Final[dict[str, Fault]] = {
    "bytes": injected(b"\xff\xfe\x00\x80"),
    "an object without name": injected(b'{"type":"MODIFIED","object":{"metadata":{"uid":"x","resourceVersion":"1"}}}'),
    "half a line": truncated,
    "ERROR 500": error_event(500),
    "ERROR 410": ERROR_410,
    "400": answered(400),
    "401": answered(401),
    "403 until it is granted again": answered(403, times=float("inf")),
    "410": answered(410),
    "429": answered(429, Retry_After="1"),
    "429 for a day": answered(429, Retry_After="86400"),
}


def watch_of(*kinds: Kind) -> Which:
    return lambda request: any(of(kind.plural, watches)(request) for kind in kinds)


async def change(platform: Platform, kind: Kind, number: int) -> Callable[[], Awaitable[bool]]:
    """Change an object of a kind without consequences for children; return the question whether the operator has seen it."""
    name, spec = changed(platform, kind, number)
    namespace = platform.spaces.system if kind is TOKEN else platform.spaces.tenant if kind.namespaced else None
    if kind is TOKEN:
        made = await platform.cluster.apply(kind_resource(kind), {"metadata": {"name": name, "namespace": namespace}, "spec": spec})
    else:
        made = await platform.apply(kind, name, spec)

    async def is_seen() -> bool:
        found = await platform.cluster.get(kind_resource(kind), name, namespace)
        return bool(found["status"]["observedGeneration"] == made["metadata"]["generation"])

    return is_seen


def changed(platform: Platform, kind: Kind, number: int) -> tuple[str, dict[str, Any]]:
    entry, env, title = f"entry-{platform.mark}", f"env-{platform.mark}", f"title {number}"
    if kind is INSTALLATION:
        return "before", {"entryRef": {"name": entry}, "owner": {"team": "engineering"}, "sharing": {"throughGateways": number % 2 == 1}}
    if kind is GATEWAY:
        tool = {"entryRef": {"name": entry}, "include": ["*"]}
        open_to = {"visibility": {"scope": "Team", "teams": ["engineering"]}, "authentication": {"bearerTokens": {"enabled": True}}}
        return "tools", {"title": title, "tools": [tool], **open_to}
    if kind is TOKEN:
        return "token", {"subject": {"team": "engineering"}, "tokenHash": f"sha256:{number:064x}"}
    if kind is ENVIRONMENT:
        nowhere = {"nodeSelector": {"wharfinger.dev/test": "nowhere"}}
        return env, {"title": title, "podDefaults": nowhere, "egress": {"mode": "DenyAll"}}
    hosted = {"command": ["mcp-server-time"], "transport": "Stdio"}
    return entry, {"title": title, "type": "SelfHosted", "selfHosted": hosted, "environmentRef": {"name": env}}


async def survives(platform: Platform, proxy: FaultyProxy, running: OperatorProcess, fault: Fault, rounds: list[tuple[Kind, ...]]) -> None:
    before = {child["metadata"]["uid"] for child in await platform.children()}
    for number, kinds in enumerate(rounds, start=1):
        await until(partial(watched, proxy), SECONDS)
        await fault(proxy, watch_of(*kinds))
        questions = [await change(platform, kind, number) for kind in kinds]
        proxy.recover()
        for is_seen in questions:
            await until(is_seen, SECONDS)
        assert running.process.returncode is None
    assert before == {child["metadata"]["uid"] for child in await platform.children()}


async def watched(proxy: FaultyProxy) -> bool:
    return all(proxy.open_watches_of(of(kind.plural)) for kind in KINDS)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_a_fault_in_one_watch_and_in_all_at_once_ends_nothing(
    fault: Fault, behind: Platform, proxy: FaultyProxy, running: OperatorProcess
) -> None:
    await survives(behind, proxy, running, fault, [(INSTALLATION,), KINDS])


async def test_a_fault_in_the_watch_of_each_kind_in_turn_ends_nothing(
    behind: Platform, proxy: FaultyProxy, running: OperatorProcess
) -> None:
    await survives(behind, proxy, running, PAGE, [(kind,) for kind in KINDS])


@pytest.mark.parametrize("fault", [ERROR_410, PAGE], ids=["ERROR 410", "a page"])
async def test_a_deletion_that_no_watch_told_of_is_noticed_all_the_same(
    fault: Fault, behind: Platform, proxy: FaultyProxy, running: OperatorProcess
) -> None:
    proxy.answer(503, of(INSTALLATION.plural, lists), times=float("inf"))
    await fault(proxy, watch_of(INSTALLATION))
    await until(lambda: refused(proxy), SECONDS)
    # The last one, so that no list shows anything.
    await behind.cluster.delete(kind_resource(INSTALLATION), "before", behind.spaces.tenant)
    proxy.recover()

    await until(lambda: complete(behind), 30)
    assert running.process.returncode is None


async def refused(proxy: FaultyProxy) -> bool:
    """Tell whether our installations were asked for once more, in vain."""
    asked = sum(f"/{INSTALLATION.plural}?" in path and "limit=" in path for _, path in proxy.seen)
    return asked > sum(f"/{INSTALLATION.plural}?" in path and "limit=" in path for _, path, _ in proxy.answered)


async def test_a_kind_that_discovery_left_out_is_followed_all_the_same(
    behind: Platform, proxy: FaultyProxy, running: OperatorProcess
) -> None:
    proxy.answer(404, lambda request: request.path == f"/apis/{names.GROUP}/{names.VERSION}")
    await PAGE(proxy, watch_of(INSTALLATION))
    await behind.install("later")

    await until(lambda: complete(behind, "before", "later"), SECONDS)
    assert running.process.returncode is None


async def test_an_operator_that_is_told_to_end_says_no_stack(behind: Platform, running: OperatorProcess) -> None:
    assert await running.stop() == 0
    assert "Traceback" not in running.log.read_text()
    assert "never retrieved" not in running.log.read_text()
