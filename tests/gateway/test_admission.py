"""A head that was admitted a moment ago is judged anew as soon as anything may have changed; so is one that was refused."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from gateway_served import Serve, Served
from gateway_upstream import UpstreamServer
from gateway_world import ALICE, gateway, installation, pinned, snapshot_of
from wharfinger_gateway import admission
from wharfinger_gateway.admission import Admission
from wharfinger_gateway.authorize import Permit
from wharfinger_gateway.refusals import Refusal


def world(url: str, **changes: Any) -> list[Any]:
    return [*installation("bot", team="engineering", url=url), gateway("tools", pinned("bot"), **changes)]


def tokens(served: Served, **changes: Any) -> None:
    known = served.current.tokens
    served.current.publish_tokens({k: dataclasses.replace(v, **changes) if v.subject == "okta:alice" else v for k, v in known.items()})


CHANGES: dict[str, tuple[Callable[[Served, str], None], int]] = {
    "token disabled": (lambda served, _: tokens(served, disabled=True), 401),
    "token over": (lambda served, _: tokens(served, expires_at=1.0), 401),
    "token of another gateway": (lambda served, _: tokens(served, gateways=frozenset({"dev.other"})), 404),
    "gateway hidden": (
        lambda served, url: _ignore(served.current.publish(snapshot_of(*world(url, visibility={"scope": "Team", "teams": ["sales"]})))), 404,
    ),
    "gateway gone": (lambda served, url: _ignore(served.current.publish(snapshot_of(*world(url)[:-1]))), 404),
}  # fmt: skip


def _ignore(_: object) -> None:
    """Take what nobody wants."""


@pytest.mark.requirement("AUT-4", "AUT-5")
@pytest.mark.parametrize("change", CHANGES)
async def test_what_changes_counts_at_the_next_request_of_the_same_connection(
    serve: Serve, modern_server: UpstreamServer, change: str
) -> None:
    served = serve(world(modern_server.url))
    alice = served.caller(ALICE)
    for _ in range(2):
        assert (await alice.modern("tools/list")).status == 200
    assert any(isinstance(kept.memo, Admission) for kept in alice.heads.values())
    how, status = CHANGES[change]
    how(served, modern_server.url)
    assert (await alice.modern("tools/list")).status == status


@pytest.mark.requirement("AUT-4")
async def test_a_token_ends_on_the_second_although_its_head_was_admitted(serve: Serve, modern_server: UpstreamServer) -> None:
    served = serve(world(modern_server.url))
    now = [1000.0]
    served.pipeline._clock = lambda: now[0]
    tokens(served, expires_at=1000.5)
    alice = served.caller(ALICE)
    assert (await alice.modern("tools/list")).status == 200
    now[0] = 1000.5
    assert (await alice.modern("tools/list")).status == 401


async def test_an_admission_holds_for_a_second_and_for_the_same_head_only(
    serve: Serve, modern_server: UpstreamServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve(world(modern_server.url))
    now, judged, judge = [1000.0], [], served.pipeline._judge

    def noted(*asked: Any) -> Permit | Refusal:
        judged.append(now[0])
        return judge(*asked)

    monkeypatch.setattr(served.pipeline, "_judge", noted)
    served.pipeline._clock = lambda: now[0]
    alice = served.caller(ALICE)
    for seconds in (0.0, 0.5, admission.HOLDS_SECONDS, admission.HOLDS_SECONDS + 0.5, 0.25):
        now[0] = 1000.0 + seconds
        assert (await alice.modern("tools/list")).status == 200
    assert judged == [1000.0, 1001.0, 1000.25], "a clock that was put back counts as well"
    alice.token = "wft_none"
    assert (await alice.modern("tools/list")).status == 401
