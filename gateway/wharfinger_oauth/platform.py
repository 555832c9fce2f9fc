"""What is in force, as far as the authorization server asks: one immutable value, read once a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from wharfinger_crds import names
from wharfinger_crds.duration import seconds
from wharfinger_crds.identity_provider import IdentityProvider, SecretKey
from wharfinger_crds.oauth import OAuth
from wharfinger_oauth.access_token import AccessTokenKeys
from wharfinger_oauth.subject import Subject


@dataclass(frozen=True, slots=True)
class Resource:
    """A gateway, as the protected resource that it is (RFC 9728)."""

    id: str
    """`<namespace>.<name>`."""
    title: str
    oauth: bool
    """Whether logins count there."""
    tokens_of: frozenset[str] = frozenset()
    """Identity providers whose access tokens count there."""
    assertions_of: frozenset[str] = frozenset()
    """Identity providers whose ID-JAGs count there."""


@dataclass(frozen=True)
class Platform:
    """Settings, keys and gateways at one moment."""

    public_url: str
    """The issuer; no slash at the end."""
    oauth: OAuth
    identity_providers: tuple[IdentityProvider, ...]
    root_key: bytes = field(repr=False)
    keys: AccessTokenKeys = field(repr=False)
    resources: Mapping[str, Resource]
    """By id."""
    sees: Callable[[Subject, str], bool] = field(repr=False)
    """Whether somebody may use a gateway, by today's teams."""
    secrets: Mapping[tuple[str, str], bytes] = field(default_factory=dict, repr=False)
    """Of the system namespace, those that the settings name: by Secret and key."""

    @property
    def is_https(self) -> bool:
        """Whether browsers reach it over TLS."""
        return urlsplit(self.public_url).scheme == "https"

    @property
    def path(self) -> str:
        """What the public URL has behind its host: what is in front of the gateway takes it off requests, but for those of metadata."""
        return urlsplit(self.public_url).path

    @property
    def access_lifetime(self) -> int:
        """Seconds."""
        return int(seconds(self.oauth.access_lifetime))

    @property
    def refresh_idle(self) -> int:
        """Seconds."""
        return int(seconds(self.oauth.refresh_idle))

    @property
    def refresh_lifetime(self) -> int:
        """Seconds."""
        return int(seconds(self.oauth.refresh_lifetime))

    def url_of(self, gateway: str) -> str:
        """Return the URL of a gateway: what tokens for it are bound to."""
        return f"{self.public_url}{names.ENDPOINT_PREFIX}/{gateway}"

    def trusts(self, subject: Subject) -> bool:
        """Tell whether who said that it is him still counts: an identity provider of the settings, or their development login."""
        development = self.oauth.development_login
        if development is not None and subject.user in development.users:
            return True
        return any((one.name, one.issuer) == (subject.identity_provider, subject.issuer) for one in self.identity_providers)

    def named_by(self, resource: str) -> Resource | None:
        """Return the gateway that a resource indicator names (RFC 8707 §2): its URL in any case of scheme and host, with or without a slash at
        the end or the path of HTTP+SSE.
        """
        parts = urlsplit(resource)
        if parts.query or parts.fragment or "#" in resource or "?" in resource:
            return None
        ours = urlsplit(self.public_url)
        default = {"https": ":443", "http": ":80"}.get(ours.scheme, "")
        if parts.scheme != ours.scheme or _authority(parts.netloc, default) != _authority(ours.netloc, default):
            return None
        prefix = f"{ours.path}{names.ENDPOINT_PREFIX}/"
        if not parts.path.startswith(prefix):
            return None
        return self.resources.get(parts.path.removeprefix(prefix).removesuffix("/").removesuffix("/sse"))


def secret_at(secrets: Mapping[tuple[str, str], bytes], reference: SecretKey | None) -> bytes | None:
    """Return the secret that settings name, without the line ends that editors and `echo` leave behind it; None where there is none."""
    held = secrets.get((reference.name, reference.key)) if reference is not None else None
    return held.rstrip(b"\r\n") or None if held is not None else None


def _authority(netloc: str, default: str) -> str:
    return netloc.lower().removesuffix(default)
