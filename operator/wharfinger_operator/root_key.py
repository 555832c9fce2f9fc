"""The root key of the platform: made once, by the operator, and never by Helm, which would make it anew on each upgrade."""

from __future__ import annotations

import base64
import binascii
import secrets

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import Conflict, NotFound
from wharfinger_cluster.resource import SECRET
from wharfinger_crds import names

LENGTH = 32


class RootKeyError(Exception):
    """The Secret is there and holds no usable key; making another would invalidate everything derived from it."""


async def ensure_root_key(cluster: Cluster, namespace: str) -> bytes:
    """Return the root key, making it where there is none.

    Raises RootKeyError where the Secret is malformed, ClusterError where the API server cannot be asked.
    """
    try:
        found = await cluster.get(SECRET, names.ROOT_KEY_SECRET, namespace)
    except NotFound:
        key = base64.b64encode(secrets.token_bytes(LENGTH)).decode()
        labels = {names.MANAGED_BY: names.MANAGER, names.PART: "root-key"}
        body = {
            "metadata": {"name": names.ROOT_KEY_SECRET, "namespace": namespace, "labels": labels},
            "type": "Opaque",
            "data": {names.ROOT_KEY: key},
        }
        try:
            found = await cluster.create(SECRET, body)
        except Conflict:
            found = await cluster.get(SECRET, names.ROOT_KEY_SECRET, namespace)
    try:
        value = base64.b64decode(found.get("data", {}).get(names.ROOT_KEY, ""), validate=True)
    except binascii.Error:
        value = b""
    if len(value) < LENGTH:
        raise RootKeyError(
            f"Secret {namespace}/{names.ROOT_KEY_SECRET} has no key {names.ROOT_KEY} of at least {LENGTH} bytes: restore it from backup"
        )
    return value
