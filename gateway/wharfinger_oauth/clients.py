"""The clients of the authorization server: those of the settings, those that registered themselves, those with a metadata document."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace

from wharfinger_crds import oauth
from wharfinger_oauth.client import Client
from wharfinger_oauth.client_assertion import Assertions
from wharfinger_oauth.client_credentials import Credentials, credentials
from wharfinger_oauth.client_document import document_host, is_trusted
from wharfinger_oauth.client_keys import ClientKeys
from wharfinger_oauth.documents import Documents
from wharfinger_oauth.platform import secret_at
from wharfinger_oauth.registration import MARK, read_client_id
from wharfinger_oauth.request import Request
from wharfinger_oauth.unavailable import Unavailable


@dataclass(frozen=True, slots=True)
class Proofs:
    """What clients prove themselves by, which outlives settings."""

    documents: Documents
    assertions: Assertions
    keys: ClientKeys


class Clients:
    """Finds clients, and tells whether they are who they say. Made anew with the settings; documents and used assertions outlive it."""

    def __init__(
        self,
        settings: oauth.OAuth,
        secrets: Mapping[tuple[str, str], bytes],
        root_key: bytes,
        proofs: Proofs,
    ) -> None:
        """Take the data of Secrets by name and key."""
        self._settings = settings
        self._root_key = root_key
        self._documents, self._assertions, self._keys = proofs.documents, proofs.assertions, proofs.keys
        self._key_urls = {one.id: one.jwks_uri for one in settings.clients if one.jwks_uri is not None}
        self._named = {one.id: _named(one, secrets) for one in settings.clients}
        self._denied = frozenset(settings.registration.denied)

    async def find(self, client_id: str) -> Client | None:
        """Return the client of an id; None where there is none, none any more, or none that can be told of now.

        Which of these it is, is nobody's business who only names an id: he could ask about hosts of others.
        """
        found = await self._looked_up(client_id)
        return None if isinstance(found, Unavailable) else found

    async def authenticated(self, request: Request) -> Client | Unavailable | None:
        """Return the client that a request to the token endpoint is proven to come from; None where it is not.

        Unavailable where that cannot be told now: a client that is told it is unknown may forget its tokens.
        """
        given = credentials(request)
        client = await self._looked_up(given.client_id) if given else None
        if isinstance(client, Unavailable):
            return client
        if given is not None and client is not None and client.id in self._key_urls and given.method == client.method:
            keys = await self._keys.of(self._key_urls[client.id])
            if isinstance(keys, Unavailable):
                return keys
            client = replace(client, keys=keys)
        return client if given and client and self._proves(given, client) else None

    async def _looked_up(self, client_id: str) -> Client | Unavailable | None:
        registration = self._settings.registration
        if client_id in self._denied:
            return None
        if client_id in self._named:
            return self._named[client_id]
        if client_id.startswith(MARK):
            return read_client_id(client_id, registration, self._root_key)
        host = document_host(client_id)
        return await self._documents.find(client_id) if host and is_trusted(host, registration) else None

    def _proves(self, given: Credentials, client: Client) -> bool:
        """Tell whether credentials are the client's, in the one way that is the client's."""
        if (given.client_id, given.method) != (client.id, client.method):
            return False
        match client.method:
            case "none":
                return True
            case "private_key_jwt":
                return self._assertions.accepts(given.proof, client)
            case _:
                return client.secret is not None and any(_is_same(text, client.secret) for text in (given.proof, given.raw) if text)


def _named(one: oauth.Client, secrets: Mapping[tuple[str, str], bytes]) -> Client | None:
    """Return a client of the settings; None while the Secret that it names is not there: it is then no public client."""
    if one.method == "private_key_jwt":
        keys = {"keys": list(one.jwks.keys)} if one.jwks is not None else None
        return Client(one.id, one.name, one.redirect_uris, "Settings", one.method, keys=keys)
    if one.secret_ref is None:
        return Client(one.id, one.name, one.redirect_uris, "Settings")
    try:
        secret = (secret_at(secrets, one.secret_ref) or b"").decode()
    except UnicodeDecodeError:
        return None
    return Client(one.id, one.name, one.redirect_uris, "Settings", one.method, secret) if secret else None


def _is_same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode(), secret.encode())
