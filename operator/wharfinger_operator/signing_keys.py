"""The keys that gateways sign access tokens with: made when there are none, and another one in time."""

from __future__ import annotations

import base64
import binascii
import logging
import secrets

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import Conflict, NotFound
from wharfinger_cluster.resource import SECRET, Object
from wharfinger_crds import names
from wharfinger_crds.signing_keys import (
    NOTICE,
    MalformedKeysError,
    SigningKey,
    needs_another,
    read_signing_keys,
    still_needed,
    write_signing_keys,
)

_log = logging.getLogger(__name__)


async def keep_signing_keys(cluster: Cluster, namespace: str, now: float, lifetime: float) -> None:
    """See to it that there is a key to sign with now and the next one is published in time; `lifetime` is that of access tokens, in seconds.

    Keys that cannot be read stay as they are: other keys would end every login. Raises ClusterError.
    """
    try:
        found = await cluster.get(SECRET, names.SIGNING_KEYS_SECRET, namespace)
    except NotFound:
        await _create(cluster, namespace, now)
        return
    try:
        keys = read_signing_keys(base64.b64decode(found.get("data", {}).get(names.SIGNING_KEYS, ""), validate=True))
    except (MalformedKeysError, binascii.Error):
        _log.error("Secret %s/%s: its %s cannot be read: restore it from backup", namespace, names.SIGNING_KEYS_SECRET, names.SIGNING_KEYS)
        return
    wanted = still_needed(keys, now, lifetime)
    if needs_another(keys, now):
        # At once where the last one has been signing for too long already, such as after a long time without operator.
        wanted = (*wanted, _new_key(int(now) + NOTICE))
    if wanted == keys:
        return
    try:
        await cluster.replace(SECRET, {**found, "data": {**found["data"], names.SIGNING_KEYS: _encoded(wanted)}})
    except (Conflict, NotFound):
        return
    _log.info("signing keys: %s", ", ".join(key.jwk["kid"] for key in wanted))


async def _create(cluster: Cluster, namespace: str, now: float) -> None:
    body: Object = {
        "metadata": {
            "name": names.SIGNING_KEYS_SECRET,
            "namespace": namespace,
            "labels": {names.MANAGED_BY: names.MANAGER, names.PART: "signing-keys"},
        },
        "type": "Opaque",
        "data": {names.SIGNING_KEYS: _encoded((_new_key(int(now)),))},
    }
    try:
        await cluster.create(SECRET, body)
    except Conflict:
        return


def _encoded(keys: tuple[SigningKey, ...]) -> str:
    return base64.b64encode(write_signing_keys(keys)).decode()


def _new_key(not_before: int) -> SigningKey:
    # Seven MiB, for what is done once a month.
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key  # noqa: PLC0415

    private = generate_private_key(SECP256R1())
    numbers = private.private_numbers()
    jwk = {
        "kty": "EC",
        "crv": "P-256",
        "kid": secrets.token_urlsafe(9),
        "x": _number(numbers.public_numbers.x),
        "y": _number(numbers.public_numbers.y),
        "d": _number(numbers.private_value),
    }
    return SigningKey(jwk, not_before)


def _number(value: int) -> str:
    """Return a number of P-256 as JWKs have it (RFC 7518 §6.2.1.2)."""
    return base64.urlsafe_b64encode(value.to_bytes(32, "big")).rstrip(b"=").decode()
