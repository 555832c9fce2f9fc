"""What clients discover: the authorization server (RFC 8414), and each gateway as a protected resource (RFC 9728). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

import msgspec

from wharfinger_crds.identity_provider import Algorithm
from wharfinger_oauth import paths
from wharfinger_oauth.authorization_server import GRANT_TYPES, JWT_BEARER, METHODS
from wharfinger_oauth.challenge import ENDPOINT, SCOPE
from wharfinger_oauth.platform import Platform
from wharfinger_oauth.request import Response

ID_JAG_PROFILE: Final = "urn:ietf:params:oauth:grant-profile:id-jag"
PUBLIC: Final[Mapping[str, str]] = {
    "Content-Type": "application/json",
    "Cache-Control": "public, max-age=300",
    "Access-Control-Allow-Origin": "*",
}


def server_metadata(platform: Platform) -> Response:
    """Return the authorization server's metadata."""
    url, registration = platform.public_url, platform.oauth.registration
    asserted = any(one.assertions_of for one in platform.resources.values())
    document: dict[str, Any] = {
        "issuer": url,
        "authorization_endpoint": url + paths.AUTHORIZE,
        "token_endpoint": url + paths.TOKEN,
        "revocation_endpoint": url + paths.REVOKE,
        "jwks_uri": url + paths.JWKS,
        "scopes_supported": [SCOPE, "offline_access"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [one for one in GRANT_TYPES if asserted or one != JWT_BEARER],
        "token_endpoint_auth_methods_supported": METHODS,
        "token_endpoint_auth_signing_alg_values_supported": get_args(Algorithm),
        "revocation_endpoint_auth_methods_supported": METHODS,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "client_id_metadata_document_supported": registration.metadata_documents == "On",
    }
    if registration.dynamic != "Off":
        document["registration_endpoint"] = url + paths.REGISTER
    if asserted:
        document["authorization_grant_profiles_supported"] = [ID_JAG_PROFILE]
    return Response(200, msgspec.json.encode(document), PUBLIC)


def key_set(platform: Platform) -> Response:
    """Return the keys that access tokens are signed with."""
    return Response(200, msgspec.json.encode(platform.keys.public()), PUBLIC)


def resource_metadata(platform: Platform, path: str) -> Response | None:
    """Return the metadata of the gateway at a path, `/v1/mcp/<id>`; None where no gateway can be there.

    It says nothing of whether there is one: who may not see a gateway does not learn of it here.
    """
    found = ENDPOINT.fullmatch(path)
    if found is None:
        return None
    trusted = frozenset[str]().union(*(one.tokens_of for one in platform.resources.values()))
    issuers = [one.issuer for one in platform.identity_providers if one.name in trusted]
    document = {
        "resource": platform.url_of(found[1]),
        "authorization_servers": [platform.public_url, *issuers],
        "scopes_supported": [SCOPE],
        "bearer_methods_supported": ["header"],
        "resource_name": "Wharfinger gateway",
    }
    return Response(200, msgspec.json.encode(document), PUBLIC)
