"""Names of hosts in egress rules: one grammar, read label by label (RFC 1123 §2.1, IDNA 2008 with the mapping of UTS #46).

`api.example.com` is that host, `*.example.com` one label more, `**.example.com` one or more labels more; neither wildcard covers `example.com`.
Nothing else is a wildcard. Providers read the same characters differently: they are given what comes of this, never what a user wrote.
"""

from __future__ import annotations

import functools
import string
from typing import Final

import idna

ONE_LABEL: Final = "*."
ANY_DEPTH: Final = "**."
MAXIMUM: Final = 253
"""Characters of a name, without the dot of the root (RFC 1035 §2.3.4)."""
LABEL_MAXIMUM: Final = 63
_ALLOWED: Final = frozenset(string.ascii_lowercase + string.digits + "-")
_SHOWN: Final = 80


class DomainError(ValueError):
    """A text that is no domain; the message names it, and says why."""


@functools.lru_cache(maxsize=4096)
def normalized(text: str) -> str:
    """Return a rule in its one form: lower-case, in ASCII, without a dot at the end.

    Raises DomainError where it is none, also for addresses, ports, schemes, single labels and wildcards other than the two.
    """
    wildcard = next((prefix for prefix in (ANY_DEPTH, ONE_LABEL) if text.startswith(prefix)), "")
    try:
        return wildcard + _ascii_name(text.removeprefix(wildcard), MAXIMUM - len(wildcard))
    except DomainError as error:
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        raise DomainError(f"{shown!r} {error}") from None


def host_name(text: str) -> str | None:
    """Return the name of a host in the form that rules have; None where no rule can mean it, such as an address or a single label."""
    try:
        return None if "*" in text else normalized(text)
    except DomainError:
        return None


def covers(rule: str, host: str) -> bool:
    """Tell whether a rule means a host, both in their one form."""
    if rule.startswith(ANY_DEPTH):
        return host.endswith(rule[len(ANY_DEPTH) - 1 :])
    if rule.startswith(ONE_LABEL):
        return host.partition(".")[2] == rule[len(ONE_LABEL) :]
    return rule == host


def _ascii_name(text: str, maximum: int) -> str:
    if len(text) > MAXIMUM + 1:  # before anything whose cost grows with it
        raise DomainError(f"is longer than {MAXIMUM} characters")
    for mark, why in (("://", "has a scheme"), ("/", "has a path"), (":", "has a port or is an address"), ("*", _WILDCARDS)):
        if mark in text:
            raise DomainError(why)
    labels = text.removesuffix(".").split(".")
    if len(labels) < 2:
        raise DomainError("has fewer than two labels")
    ascii_labels = [_ascii_label(label) for label in labels]
    if _is_number(ascii_labels[-1]):
        raise DomainError("ends in a number: addresses go into cidrs")
    name = ".".join(ascii_labels)
    if len(name) > maximum:
        raise DomainError(f"is longer than {MAXIMUM} characters")
    return name


_WILDCARDS: Final = "has a wildcard that is neither `*.` nor `**.` in front of at least two labels"


def _ascii_label(text: str) -> str:
    if not text:
        raise DomainError("has an empty label")
    try:
        label = text.lower() if text.isascii() else idna.encode(text, uts46=True).decode("ascii")
    except UnicodeError as error:
        raise DomainError(f"has the label {text!r}, which IDNA refuses: {error}") from None
    if len(label) > LABEL_MAXIMUM:
        raise DomainError(f"has a label of more than {LABEL_MAXIMUM} characters: {label}")
    if label[0] == "-" or label[-1] == "-" or not _ALLOWED.issuperset(label):
        raise DomainError(f"has the label {text!r}, which is not made of letters, digits and inner hyphens")
    return label


def _is_number(label: str) -> bool:
    # What resolvers and URL parsers take for the end of an IPv4 address (WHATWG URL, "ends in a number").
    return label.isdigit() or (label.startswith("0x") and all(c in string.hexdigits for c in label[2:]))
