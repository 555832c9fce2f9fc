"""The keys of access tokens, on a real API server: made once, rotated in time, and never lost."""

import asyncio
import base64
from typing import Any

import pytest

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.resource import SECRET
from wharfinger_crds import names
from wharfinger_crds.signing_keys import NOTICE, ROTATION, SigningKey, read_signing_keys, signing_key
from wharfinger_oauth.access_token import AccessToken, AccessTokenKeys
from wharfinger_operator.signing_keys import keep_signing_keys

NOW = 1_790_000_000
LIFETIME = 3_600.0


async def keys(cluster: Cluster, namespace: str) -> tuple[SigningKey, ...]:
    found = await cluster.get(SECRET, names.SIGNING_KEYS_SECRET, namespace)
    return read_signing_keys(base64.b64decode(found["data"][names.SIGNING_KEYS]))


def token(at: int) -> AccessToken:
    return AccessToken(iss="https://a", aud="https://a/x", sub="okta:alice", client_id="c", gid="g", iat=at, exp=at + 3600, scope="mcp")


@pytest.mark.requirement("AUT-1")
async def test_of_operators_that_begin_together_one_makes_the_key(cluster: Cluster, namespace: str) -> None:
    await asyncio.gather(*(keep_signing_keys(cluster, namespace, NOW, LIFETIME) for _ in range(8)))
    (key,) = await keys(cluster, namespace)
    assert key.not_before == NOW
    assert key.jwk["d"] not in repr(key)


async def test_a_settled_key_is_not_written_again(cluster: Cluster, namespace: str) -> None:
    await keep_signing_keys(cluster, namespace, NOW, LIFETIME)
    before = await cluster.get(SECRET, names.SIGNING_KEYS_SECRET, namespace)
    await keep_signing_keys(cluster, namespace, NOW + ROTATION - NOTICE - 1, LIFETIME)
    assert await cluster.get(SECRET, names.SIGNING_KEYS_SECRET, namespace) == before


@pytest.mark.requirement("AUT-1")
async def test_a_new_key_is_published_before_it_signs_and_the_old_one_verifies_until_its_last_token_has_ended(
    cluster: Cluster, namespace: str
) -> None:
    await keep_signing_keys(cluster, namespace, NOW, LIFETIME)
    (old,) = await keys(cluster, namespace)
    change = NOW + ROTATION
    await keep_signing_keys(cluster, namespace, change - NOTICE, LIFETIME)
    both = await keys(cluster, namespace)
    assert [key.not_before for key in both] == [NOW, change]
    assert signing_key(both, change - 1) == old
    assert signing_key(both, change) != old

    last = AccessTokenKeys((old,)).sign(token(change - 1))
    assert AccessTokenKeys(both).verify(last, "https://a", change + 60) is not None
    await keep_signing_keys(cluster, namespace, change + LIFETIME + NOTICE - 1, LIFETIME)
    assert await keys(cluster, namespace) == both
    await keep_signing_keys(cluster, namespace, change + LIFETIME + NOTICE + 1, LIFETIME)
    assert [key.not_before for key in await keys(cluster, namespace)] == [change]


async def test_after_a_long_time_without_operator_the_old_key_signs_until_the_new_one_is_known(cluster: Cluster, namespace: str) -> None:
    await keep_signing_keys(cluster, namespace, NOW, LIFETIME)
    late = NOW + 10 * ROTATION
    await keep_signing_keys(cluster, namespace, late, LIFETIME)
    found = await keys(cluster, namespace)
    assert [key.not_before for key in found] == [NOW, late + NOTICE]
    assert signing_key(found, late).not_before == NOW


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"nonsense", b'[{"jwk": {"kty": "EC"}, "notBefore": 1}]'])
async def test_keys_that_cannot_be_read_are_left_for_somebody_to_restore(
    cluster: Cluster, namespace: str, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    body: dict[str, Any] = {"metadata": {"name": names.SIGNING_KEYS_SECRET, "namespace": namespace}}
    await cluster.create(SECRET, {**body, "data": {names.SIGNING_KEYS: base64.b64encode(content).decode()}})
    before = await cluster.get(SECRET, names.SIGNING_KEYS_SECRET, namespace)
    await keep_signing_keys(cluster, namespace, NOW, LIFETIME)
    assert await cluster.get(SECRET, names.SIGNING_KEYS_SECRET, namespace) == before
    assert "restore it from backup" in caplog.text
