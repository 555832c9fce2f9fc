"""McpToken: a static bearer token, stored as hash; and the form of the token itself.

A token is `whf_<kind>_<30 base62 characters><6 characters CRC-32>`: 178 random bits, so a bare SHA-256 is a safe store,
and a checksum that refuses typing errors before any look-up.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, StringConstraints

from wharfinger_crds.base import Label, Model, Object, Status, Text, UserName, set_list, validations

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
BODY_LENGTH: Final = 30
KINDS: Final = {"user": "u", "team": "t", "organization": "o"}
_FORM: Final = re.compile(r"whf_([uto])_([0-9A-Za-z]{30})([0-9A-Za-z]{6})")


class TokenSubject(Model):
    """Who a caller with the token is."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            ("[has(self.user), has(self.team), has(self.organization)].exists_one(x, x)", "exactly one of user, team, organization"),
            ("!has(self.organization) || self.organization", "organization is true or absent"),
        )
    )
    user: UserName | None = None
    team: Label | None = None
    organization: bool | None = None

    @property
    def kind(self) -> Literal["user", "team", "organization"]:
        """The kind of subject."""
        return "user" if self.user else "team" if self.team else "organization"


class TokenSpec(Model):
    """Who a caller with the token is, and where it counts."""

    subject: TokenSubject
    gateways: tuple[Annotated[str, StringConstraints(max_length=127, pattern=r"^[-a-z0-9]+\.[-a-z0-9]+$")], ...] = set_list(64)
    """`<namespace>.<name>` of gateways; omitted: every gateway that the subject may see."""
    expires_at: Annotated[str, Field(json_schema_extra={"format": "date-time"})] | None = None
    """RFC 3339; omitted: never."""
    token_hash: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$", max_length=71)]
    """`sha256:` and the hexadecimal SHA-256 of the token."""
    description: Text | None = None
    disabled: bool = False


class TokenStatus(Status):
    """What is known about the token."""

    last_used: Annotated[str, Field(json_schema_extra={"format": "date-time"})] | None = None
    """About when it was last called with; written seldom."""


class Token(Object):
    """A static bearer token; honoured in the system namespace only."""

    spec: TokenSpec
    status: TokenStatus = TokenStatus()


def _checksum(text: str) -> str:
    number = zlib.crc32(text.encode())
    digits = ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = ALPHABET[digit] + digits
    return digits


def token_text(kind: Literal["user", "team", "organization"], body: str) -> str:
    """Return the token of that kind around `body`, 30 random characters of ALPHABET.

    Raises ValueError where `body` has another form.
    """
    if not re.fullmatch(r"[0-9A-Za-z]{30}", body):
        raise ValueError("the body of a token is 30 letters and digits")
    head = f"whf_{KINDS[kind]}_{body}"
    return head + _checksum(head)


def is_token(text: str) -> bool:
    """Tell whether `text` has the form of a token and its checksum is right."""
    match = _FORM.fullmatch(text)
    return match is not None and match[3] == _checksum(text[:-6])


def token_hash(text: str) -> str:
    """Return what `spec.tokenHash` holds for the token."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
