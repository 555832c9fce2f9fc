"""A platform as the authorization server sees it, as a value: one gateway, one identity provider, keys of its own."""

from types import MappingProxyType
from typing import Any, Final

from joserfc.jwk import ECKey

from wharfinger_crds.identity_provider import IdentityProvider
from wharfinger_crds.oauth import OAuth
from wharfinger_crds.signing_keys import SigningKey
from wharfinger_oauth.access_token import AccessTokenKeys
from wharfinger_oauth.platform import Platform, Resource
from wharfinger_oauth.subject import Subject

NOW: Final = 1_790_000_000
URL: Final = "https://mcp.example"
ROOT_KEY: Final = b"r" * 32
SIGNING_KEY: Final = ECKey.generate_key("P-256", {"kid": "now"})
PROVIDER: Final = IdentityProvider.model_validate({"name": "okta", "issuer": "https://okta.example", "clientId": "wharfinger"})
ALICE: Final = Subject("okta:alice", "okta", "https://okta.example", "alice", NOW)


def platform(**changes: Any) -> Platform:
    """Return a platform."""
    values: dict[str, Any] = {
        "public_url": URL,
        "oauth": OAuth(),
        "identity_providers": (PROVIDER,),
        "root_key": ROOT_KEY,
        "keys": AccessTokenKeys((SigningKey(SIGNING_KEY.as_dict(private=True), 0),)),
        "resources": MappingProxyType({"dev.tools": Resource("dev.tools", "Developer tools", oauth=True)}),
        "sees": lambda _subject, _gateway: True,
        **changes,
    }
    return Platform(**values)
