"""Keys of identity providers: kept, renewed, and asked for seldom, whatever tokens and providers do."""

import asyncio
import json
import re

import httpx
import pytest
from aiohttp import web

from eventually import eventually
from hostile_identity_provider import DISCOVERY, KEYS, Clock, HostileIdentityProvider, always, only_when, public, rsa_key
from wharfinger_oauth.discovery import Discovery
from wharfinger_oauth.kept import STALE
from wharfinger_oauth.key_set import COOL_DOWN, LIFETIME, KeySet
from wharfinger_oauth.unavailable import Unavailable


def key_set(hostile: HostileIdentityProvider, http: httpx.AsyncClient, clock: Clock) -> KeySet:
    discovery = Discovery(hostile.issuer, http, clock=clock, spread=lambda: 1.0)
    return KeySet(discovery, http, clock=clock, spread=lambda: 1.0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(hostile: HostileIdentityProvider, http: httpx.AsyncClient, clock: Clock) -> KeySet:
    return key_set(hostile, http, clock)


async def ids(keys: KeySet, kid: str | None = "k1", algorithm: str = "RS256") -> list[str | None] | Unavailable:
    found = await keys.fitting(kid, algorithm)
    return found if isinstance(found, Unavailable) else [key.kid for key in found]


async def refusal(keys: KeySet) -> str:
    found = await keys.fitting("k1", "RS256")
    assert isinstance(found, Unavailable), found
    return found.message


@pytest.mark.requirement("AUT-2")
async def test_whoever_asks_at_the_same_time_shares_one_fetch(keys: KeySet, hostile: HostileIdentityProvider) -> None:
    assert await asyncio.gather(*(ids(keys) for _ in range(50))) == [["k1"]] * 50
    assert (hostile.asked[KEYS], hostile.asked[DISCOVERY]) == (1, 1)


@pytest.mark.requirement("AUT-2")
async def test_a_thousand_unknown_keys_cost_one_fetch(keys: KeySet, hostile: HostileIdentityProvider, clock: Clock) -> None:
    await ids(keys)
    clock.now += COOL_DOWN
    before = hostile.asked[KEYS]

    assert await asyncio.gather(*(ids(keys, f"random-{number}") for number in range(1000))) == [[]] * 1000
    assert hostile.asked[KEYS] - before == 1


async def test_what_was_just_fetched_is_not_fetched_again_for_an_unknown_key(keys: KeySet, hostile: HostileIdentityProvider) -> None:
    assert await ids(keys, "random") == []
    assert hostile.asked[KEYS] == 1


@pytest.mark.requirement("AUT-2")
async def test_a_new_key_counts_with_its_first_token_and_one_that_went_no_longer(
    keys: KeySet, hostile: HostileIdentityProvider, clock: Clock
) -> None:
    assert await ids(keys) == ["k1"]
    clock.now += COOL_DOWN
    hostile.keys[:] = [public(rsa_key("k2"), kid="k2")]

    assert await ids(keys, "k2") == ["k2"]
    assert await ids(keys, "k1") == []


async def test_the_same_absent_key_is_not_asked_for_at_every_end_of_the_pause(
    keys: KeySet, hostile: HostileIdentityProvider, clock: Clock
) -> None:
    await ids(keys)
    for _ in range(4):
        clock.now += COOL_DOWN
        await ids(keys, "gone")

    assert hostile.asked[KEYS] == 2

    clock.now += COOL_DOWN
    await ids(keys, "gone")

    assert hostile.asked[KEYS] == 3


async def test_a_key_is_used_until_its_time_is_over_and_renewed_on_the_side_before(
    keys: KeySet, hostile: HostileIdentityProvider, clock: Clock
) -> None:
    await ids(keys)
    clock.now += LIFETIME * 0.79
    await ids(keys)
    assert hostile.asked[KEYS] == 1

    clock.now += LIFETIME * 0.02
    gate = asyncio.Event()
    hostile.replies[KEYS] = only_when(gate, json.dumps({"keys": hostile.keys}))
    assert await ids(keys) == ["k1"]
    await eventually(lambda: hostile.asked[KEYS] == 2)
    gate.set()


@pytest.mark.parametrize(
    ("said", "lifetime"),
    [("max-age=120", 120), ("public, max-age=1", 60), ("max-age=99999999999", 24 * 3600), ("no-store", 60), ("max-age=x", LIFETIME)],
)
async def test_keys_are_fresh_for_as_long_as_their_issuer_says_within_bounds(
    said: str, lifetime: float, keys: KeySet, hostile: HostileIdentityProvider, clock: Clock
) -> None:
    hostile.headers["Cache-Control"] = said
    await ids(keys)
    hostile.keys[:] = [public(rsa_key("k2"), kid="k2")]

    clock.now += lifetime * 0.5
    assert await ids(keys) == ["k1"]
    clock.now += lifetime * 0.5
    assert await ids(keys) == []


@pytest.mark.requirement("AUT-2")
async def test_known_keys_are_used_on_for_a_day_while_their_issuer_is_down(
    keys: KeySet, hostile: HostileIdentityProvider, clock: Clock
) -> None:
    await ids(keys)
    hostile.replies[KEYS] = hostile.replies[DISCOVERY] = always(503)

    clock.now += STALE - 1
    assert await ids(keys) == ["k1"]
    clock.now += 1
    assert "answered 503" in await refusal(keys)


@pytest.mark.requirement("AUT-2")
async def test_whether_an_unknown_key_is_a_new_one_nobody_can_tell_while_the_issuer_is_down(
    keys: KeySet, hostile: HostileIdentityProvider, clock: Clock
) -> None:
    await ids(keys)
    hostile.replies[KEYS] = always(503)
    clock.now += COOL_DOWN

    found = await ids(keys, "k2")

    assert isinstance(found, Unavailable)
    assert await ids(keys) == ["k1"]


@pytest.mark.requirement("AUT-2")
async def test_an_issuer_without_an_answer_is_asked_ever_more_rarely_and_callers_hear_at_once(
    keys: KeySet, hostile: HostileIdentityProvider, clock: Clock
) -> None:
    hostile.replies[KEYS] = always(500)
    waits = []
    for attempt in range(1, 9):
        found = await keys.fitting("k1", "RS256")
        assert isinstance(found, Unavailable)
        assert isinstance(await keys.fitting("k1", "RS256"), Unavailable)
        assert hostile.asked[KEYS] == attempt
        waits.append(found.retry_after)
        clock.now += found.retry_after

    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    del hostile.replies[KEYS]
    assert await ids(keys) == ["k1"]


@pytest.mark.requirement("AUT-2")
@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://other.example"},
        {"issuer": None},
        {"jwks_uri": "http://169.254.169.254/latest"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "https://user:password@idp.example/keys"},
        {"jwks_uri": 7},
        {"token_endpoint": "http://idp.example/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"userinfo_endpoint": "http://idp.example/me"},
    ],
    ids=json.dumps,
)
async def test_a_document_of_another_issuer_or_with_endpoints_in_the_clear_does_not_count(
    document: dict[str, object], keys: KeySet, hostile: HostileIdentityProvider
) -> None:
    hostile.document.update(document)

    assert re.search("another issuer's|no https URL", await refusal(keys))
    assert hostile.asked[KEYS] == 0


@pytest.mark.requirement("AUT-2")
@pytest.mark.parametrize("path", [DISCOVERY, KEYS])
async def test_redirects_are_not_followed(path: str, keys: KeySet, hostile: HostileIdentityProvider) -> None:
    hostile.replies[path] = always(302, Location="/elsewhere")

    assert "redirects" in await refusal(keys)
    assert hostile.asked["/elsewhere"] == 0


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(10 * 1024):
        await response.write(b" " * 1024)
    return response


async def dribbling(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.01)


@pytest.mark.requirement("AUT-2")
@pytest.mark.parametrize("path", [DISCOVERY, KEYS])
async def test_of_ten_mebibytes_not_more_than_the_limit_is_read(path: str, keys: KeySet, hostile: HostileIdentityProvider) -> None:
    hostile.replies[path] = endless

    assert "answered more than" in await refusal(keys)


async def test_a_compressed_answer_is_not_unpacked(keys: KeySet, hostile: HostileIdentityProvider) -> None:
    hostile.replies[KEYS] = always(Content_Encoding="gzip")

    assert "compressed" in await refusal(keys)


@pytest.mark.requirement("AUT-2")
async def test_an_answer_that_does_not_end_is_given_up(
    keys: KeySet, hostile: HostileIdentityProvider, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wharfinger_oauth.provider_http.SECONDS", 0.2)
    gate = asyncio.Event()
    for reply in (only_when(gate), dribbling):
        hostile.replies[KEYS] = reply
        clock.now += 60
        assert "did not answer within" in await refusal(keys)
    gate.set()


@pytest.mark.parametrize("text", ["", "no", "[]", '{"keys": 7}', '{"keys": []}', '{"keys": [], "keys": []}', "[" * 50_000, '{"keys": NaN}'])
async def test_what_is_no_key_set_is_an_issuer_that_does_not_answer(text: str, keys: KeySet, hostile: HostileIdentityProvider) -> None:
    hostile.replies[KEYS] = always(text=text)

    assert await refusal(keys)


async def test_an_issuer_that_is_not_there_is_one_that_does_not_answer(http: httpx.AsyncClient, clock: Clock) -> None:
    discovery = Discovery("http://127.0.0.1:1", http, clock=clock)

    assert "cannot be reached" in await refusal(KeySet(discovery, http, clock=clock))
