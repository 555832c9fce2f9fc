"""When a refresh token counts, and what one that does not count ends: by the clock, without a cluster."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from platform_value import ALICE, NOW, ROOT_KEY, platform
from wharfinger_oauth.authorization_server import Decided, Known, Refresh
from wharfinger_oauth.client import Client
from wharfinger_oauth.grant_record import GrantRecord, refresh_token
from wharfinger_oauth.platform import Resource
from wharfinger_oauth.request import Request
from wharfinger_oauth.token_endpoint import decide

CLIENT = Client("c", "Agent", ("http://127.0.0.1/cb",), "Registration")
DAY = 86_400
RECORD = GrantRecord(
    name="code-a",
    subject=ALICE,
    client=CLIENT.digest,
    client_name="Agent",
    redirect_host="127.0.0.1",
    gateway="dev.tools",
    source="OAuth",
    scopes=("mcp",),
    expires_at=NOW + 30 * DAY,
    refreshes=3,
    refreshed_at=NOW,
)


def refreshed(number: int, now: float, record: GrantRecord = RECORD, **form: str) -> Decided:
    """Decide about the refresh token of that number."""
    token = refresh_token(record, number, ROOT_KEY)
    asked = {"grant_type": "refresh_token", "client_id": "c", "refresh_token": token, **form}
    request = Request("POST", "/oauth/token", form=asked)
    resources = {one: Resource(one, one, oauth=True) for one in ("dev.tools", "dev.others")}
    return decide(request, Known(platform(resources=resources), now, CLIENT, proven=True, grant=record))


def answer(decided: Decided) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(decided.response.body)
    return found


@pytest.mark.requirement("AUT-1")
def test_the_present_token_counts_and_is_used_up() -> None:
    decided = refreshed(3, NOW + DAY)
    assert answer(decided)["refresh_token"] == refresh_token(RECORD, 4, ROOT_KEY)
    assert decided.effects == (Refresh(RECORD),)


@pytest.mark.requirement("AUT-1")
@pytest.mark.parametrize("later", [-30, 0, 29])
def test_the_token_before_it_gets_the_present_one_again_for_half_a_minute_whichever_replicas_clock_is_ahead(later: int) -> None:
    decided = refreshed(2, NOW + later)
    assert answer(decided)["refresh_token"] == refresh_token(RECORD, 3, ROOT_KEY)
    assert (decided.effects, decided.ends) == ((), None)


@pytest.mark.requirement("AUT-1")
@pytest.mark.parametrize(("number", "later"), [(2, 31), (1, 0), (0, 0)])
def test_an_older_token_ends_the_grant(number: int, later: int) -> None:
    decided = refreshed(number, NOW + later)
    assert answer(decided)["error"] == "invalid_grant"
    assert (decided.effects, decided.ends) == ((), "code-a")


def test_a_token_of_the_future_is_refused() -> None:
    assert answer(refreshed(4, NOW))["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("later", "counts"), [(14 * DAY, True), (14 * DAY + 1, False)], ids=["used within fourteen days", "not used for longer"]
)
def test_a_grant_that_is_not_used_ends(later: int, counts: bool) -> None:
    assert ("access_token" in answer(refreshed(3, NOW + later))) is counts


def test_a_grant_ends_however_much_it_is_used_and_so_do_its_access_tokens() -> None:
    used = replace(RECORD, refreshed_at=RECORD.expires_at - 60)
    assert answer(refreshed(3, RECORD.expires_at - 10, used))["expires_in"] == 10
    assert answer(refreshed(3, RECORD.expires_at, used))["error"] == "invalid_grant"


def test_asking_for_more_gives_no_more() -> None:
    assert answer(refreshed(3, NOW, scope="mcp admin"))["scope"] == "mcp"


def test_a_grant_is_not_refreshed_for_another_gateway() -> None:
    assert answer(refreshed(3, NOW, resource="https://mcp.example/v1/mcp/dev.others"))["error"] == "invalid_grant"
    assert answer(refreshed(3, NOW, resource="https://evil.example/v1/mcp/dev.tools"))["error"] == "invalid_target"
    assert "access_token" in answer(refreshed(3, NOW, resource="https://mcp.example/v1/mcp/dev.tools"))


def test_a_revoked_grant_gives_nothing_and_neither_does_one_of_a_provider_that_counts_no_more() -> None:
    assert answer(refreshed(3, NOW, replace(RECORD, revoked=True)))["error"] == "invalid_grant"
    elsewhere = replace(RECORD, subject=msgspec.structs.replace(ALICE, issuer="https://before.example"))
    assert answer(refreshed(3, NOW, elsewhere))["error"] == "invalid_grant"
