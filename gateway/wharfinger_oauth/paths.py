"""Where everything of the authorization server is, below the public URL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

AUTHORIZE: Final = "/oauth/authorize"
TOKEN: Final = "/oauth/token"  # noqa: S105 - a path
REGISTER: Final = "/oauth/register"
REVOKE: Final = "/oauth/revoke"
JWKS: Final = "/oauth/jwks"
CONSENT: Final = "/oauth/consent"
CONNECTED: Final = "/oauth/connected"
LOGIN: Final = "/oauth/login"
SWITCH: Final = "/oauth/login/switch"
DEVELOPMENT: Final = "/oauth/login/development"
CALLBACK: Final = "/oauth/idp/callback"
SERVER_METADATA: Final = "/.well-known/oauth-authorization-server"
OPENID_METADATA: Final = "/.well-known/openid-configuration"
RESOURCE_METADATA: Final = "/.well-known/oauth-protected-resource"
ALIASES: Final[Mapping[str, str]] = {
    "/authorize": AUTHORIZE,
    "/token": TOKEN,
    "/register": REGISTER,
    "/api/auth/oauth2/register": REGISTER,
}
"""Where clients of 2025-03-26 go that discover nothing, and those that have learned another system's paths."""
