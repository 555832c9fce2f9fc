"""The rules of OAuth 2.1 over values: Authlib's grants, with everything that they ask for known before and nothing done inside.

Authlib's server is synchronous, ours must ask the API server. So request handlers find client and grant first; the core decides; what is to
be written is a value, `Effect`, which the handler carries out before the answer leaves. One core is made for each request.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, get_args

import msgspec
from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    ClientMixin,
    InvalidRequestError,
    OAuth2Error,
    OAuth2Request,
)
from authlib.oauth2.rfc6749.errors import InvalidClientError
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7636 import CodeChallenge, create_s256_code_challenge

from wharfinger_oauth import redirect_uri
from wharfinger_oauth.challenge import SCOPE
from wharfinger_oauth.client import Client, Method
from wharfinger_oauth.grant_record import GrantRecord
from wharfinger_oauth.identity_assertion import Assertion, RefusedAssertion
from wharfinger_oauth.platform import Platform, Resource
from wharfinger_oauth.request import Response

NO_STORE: Final[Mapping[str, str]] = {"Cache-Control": "no-store", "Pragma": "no-cache"}
METHODS: Final = get_args(Method)
"""How clients may authenticate; each in its own way."""
JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
"""RFC 7523 §2.1: for ID-JAGs."""
GRANT_TYPES: Final = ("authorization_code", "refresh_token", "client_credentials", JWT_BEARER)


class InvalidTargetError(OAuth2Error):  # type: ignore[misc]
    """RFC 8707 §2."""

    error = "invalid_target"


@dataclass(frozen=True, slots=True)
class Create:
    """Make the record of a grant; where there is one already, its credential was used twice, unless it may be shared."""

    record: GrantRecord
    shared: bool = False
    """It is made from nothing that counts once."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """Count a refresh of a grant, unless somebody else did meanwhile."""

    record: GrantRecord
    """As it was."""


Effect = Create | Refresh


@dataclass(frozen=True, slots=True)
class Known:
    """What was found before the core decides."""

    platform: Platform
    now: float
    client: Client | None = None
    proven: bool = False
    """Whether the client authenticated, as far as it can."""
    grant: GrantRecord | None = None
    """Of the refresh token that was presented."""
    assertion: Assertion | RefusedAssertion | None = None
    """That was presented, as far as it holds."""


@dataclass(frozen=True, slots=True)
class Decided:
    """An answer, and what must be written before it may leave."""

    response: Response
    effects: tuple[Effect, ...] = ()
    ends: str | None = None
    """Name of a grant that must end: a token of it was used a second time."""


class KnownClient(ClientMixin):  # type: ignore[misc]
    """A client, as Authlib asks about it."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def get_client_id(self) -> str:
        """Return its id."""
        return self.client.id

    def get_default_redirect_uri(self) -> None:
        """Return nothing: what is not sent is not guessed."""

    def get_allowed_scope(self, _scope: str | None) -> str:
        """Return what it gets of what it asked for: there is one scope, and who asks for more gets that (RFC 6749 §3.3)."""
        return SCOPE

    def check_redirect_uri(self, uri: str) -> bool:
        """Tell whether a redirect URI is one of the client's."""
        return redirect_uri.match(self.client.redirect_uris, uri) is not None

    def check_response_type(self, response_type: str) -> bool:
        """Tell whether the client may use that response type."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Tell whether the client may use that grant type."""
        return grant_type in GRANT_TYPES


class CoreRequest(OAuth2Request):  # type: ignore[misc]
    """A request's parameters; query and form are never mixed."""

    def __init__(self, verb: str, uri: str, parameters: Mapping[str, str]) -> None:
        super().__init__(verb, uri)
        self.payload = BasicOAuth2Payload(dict(parameters))

    @property
    def form(self) -> Mapping[str, str]:
        """Return the parameters."""
        found: Mapping[str, str] = self.payload.data
        return found


def _is_s256(verifier: str, challenge: str) -> bool:
    return secrets.compare_digest(create_s256_code_challenge(verifier), challenge)


class S256(CodeChallenge):  # type: ignore[misc]
    """PKCE, always, and S256 only (OAuth 2.1 §7.5.1; MCP 2026-07-28, authorization)."""

    SUPPORTED_CODE_CHALLENGE_METHOD: ClassVar = ["S256"]
    CODE_CHALLENGE_METHODS: ClassVar = {"S256": _is_s256}

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        """Raise InvalidRequestError where the challenge is missing or not S256."""
        data = grant.request.payload.data
        if not data.get("code_challenge") or data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE is required: send code_challenge with code_challenge_method=S256")
        super().validate_code_challenge(grant, redirect_uri)

    def validate_code_verifier(self, grant: Any, result: Any) -> None:
        """Raise where the verifier is missing or another one."""
        if not grant.request.form.get("code_verifier"):
            raise InvalidRequestError("code_verifier is missing")
        super().validate_code_verifier(grant, result)


class Core(AuthorizationServer):  # type: ignore[misc]
    """Authlib's server over what is known."""

    def __init__(self, known: Known) -> None:
        super().__init__()
        self.known = known
        self.effects: list[Effect] = []
        self.ends: str | None = None

    def query_client(self, client_id: str) -> KnownClient | None:
        """Return the client, if that is the one that was found."""
        client = self.known.client
        return KnownClient(client) if client is not None and client.id == client_id else None

    def authenticate_client(self, request: CoreRequest, methods: list[str], endpoint: str = "token") -> KnownClient:
        """Return the client that proved itself. Raise InvalidClientError."""
        client = self.known.client
        if client is None or not self.known.proven:
            raise InvalidClientError("The client is unknown, or did not prove itself in the way that it registered", status_code=401)
        request.auth_method = client.method
        return KnownClient(client)

    def save_token(self, token: Mapping[str, Any], request: CoreRequest) -> None:
        """Do nothing: tokens are not kept."""

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Do nothing: nobody listens."""

    def create_oauth2_request(self, request: CoreRequest) -> CoreRequest:
        """Return the request, which is one already."""
        return request

    def handle_response(self, status: int, body: Any, headers: Any) -> Response:
        """Return what Authlib answers."""
        fields = {**NO_STORE, **dict(headers)}
        if status == 401:
            fields["WWW-Authenticate"] = "Basic realm=wharfinger"
        return Response(status, body.encode() if isinstance(body, str) else msgspec.json.encode(body), fields)


def resource_of(platform: Platform, parameters: Mapping[str, str]) -> Resource:
    """Return the gateway that a request is for. Raise InvalidTargetError where it names none that logins count at, or none at all.

    Where it names none and there is but one, that is meant: clients of 2025-03-26 know no resource indicators.
    """
    named = parameters.get("resource")
    if named is None:
        able = [one for one in platform.resources.values() if one.oauth]
        if len(able) == 1:
            return able[0]
        raise InvalidTargetError("resource is missing: send the URL of the gateway (RFC 8707)")
    found = platform.named_by(named)
    if found is None or not found.oauth:
        raise InvalidTargetError("resource names no gateway that logins count at")
    return found
