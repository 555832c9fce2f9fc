"""How a registry wants to be logged in to: `WWW-Authenticate` (RFC 9110 §11.6.1; token authentication of the distribution project); pure."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode, urlsplit

_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PART: Final = re.compile(rf'\s*,?\s*(?:({_NAME})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_NAME}))|({_NAME})(?=\s|,|$))')
_LENGTH: Final = 4096
_BEARER_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]{1,16384}")


@dataclass(frozen=True)
class Challenge:
    """One way to log in."""

    scheme: str
    """Lower case."""
    parameters: Mapping[str, str] = field(default_factory=dict)


def read_challenges(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """Return the challenges of the headers, in order; what cannot be read ends its header."""
    found: list[Challenge] = []
    for header in headers:
        position, text = 0, header[:_LENGTH]
        parameters: dict[str, str] | None = None
        while part := _PART.match(text, position):
            position = part.end()
            if part[4]:
                parameters = {}
                found.append(Challenge(part[4].lower(), parameters))
            elif parameters is not None:
                value = re.sub(r"\\(.)", r"\1", part[2]) if part[2] is not None else part[3]
                parameters.setdefault(part[1].lower(), value)
    return tuple(found)


def token_url(challenge: Challenge, repository: str) -> str | None:
    """Return where a token for pulling from the repository is to be had; None where the realm is no URL."""
    realm = challenge.parameters.get("realm", "")
    try:
        parts = urlsplit(realm)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        return None
    if not usable or not realm.isascii() or any(char <= " " for char in realm):
        return None
    # Never the scope that the challenge asks for: it might be more than pulling.
    query = {"scope": f"repository:{repository}:pull"}
    if service := challenge.parameters.get("service"):
        query["service"] = service
    return f"{realm.split('#', 1)[0]}{'&' if parts.query else '?'}{urlencode(query)}"


def basic(username: str, password: str) -> str:
    """Return the header for a user (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def bearer(answer: bytes) -> str | None:
    """Return the header for the token of a token server's answer; None where there is none."""
    try:
        document = json.loads(answer)
        token = document.get("token") or document.get("access_token")
    except (ValueError, AttributeError, RecursionError):
        return None
    return f"Bearer {token}" if isinstance(token, str) and _BEARER_TOKEN.fullmatch(token) else None
