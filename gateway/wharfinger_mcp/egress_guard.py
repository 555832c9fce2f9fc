"""What may be connected to for an installation: its environment's egress rules, asked whenever a connection is made.

Pure. A guard stands for one environment and one text of its rules, and is equal to another one only if both are the same.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from wharfinger_crds import names
from wharfinger_crds.connection import Connection
from wharfinger_crds.egress_rules import EgressRules
from wharfinger_crds.environment import Port, ServiceRule
from wharfinger_crds.reach import Refused, may_reach
from wharfinger_mcp.endpoint import Address, AddressGuard
from wharfinger_mcp.errors import EgressRefusedError

_UNTOLD: Final = "no egress rules came with the connection, as from an operator older than this program: upgrade the operator"


@dataclass(frozen=True)
class EgressGuard:
    """Lets through what an environment's rules open."""

    environment: str
    text: str = field(repr=False)
    """The rules as JSON: what two guards are compared by. Empty where nobody said them."""
    rules: EgressRules | None = field(repr=False, compare=False)
    """The same, read. None: nothing is let through."""
    is_own: bool = False
    """For servers of ours, whatever the environment says."""

    def __call__(self, host: str, port: int, addresses: tuple[Address, ...]) -> tuple[Address, ...]:
        """Return the addresses that may be connected to. Raises EgressRefusedError where there are none."""
        if self.rules is None:
            raise EgressRefusedError(f"environment {self.environment}: {_UNTOLD}")
        found = may_reach(self.rules, host, addresses, port)
        if isinstance(found, Refused):
            raise EgressRefusedError(f"environment {self.environment}: {found.message}")
        return found

    def replaces(self, other: AddressGuard) -> bool:
        """Tell whether it stands for the same environment."""
        return isinstance(other, EgressGuard) and (other.environment, other.is_own) == (self.environment, self.is_own)


def guard_of(connection: Connection) -> EgressGuard:
    """Return the guard of a connection.

    A remote server's connection holds the rules of its environment. A server of ours needs none: what is let through without any is the
    installation's own Service, and that to no address that is shut to every rule.
    """
    if connection.egress is not None:
        return _guard(connection.environment, connection.egress.model_dump_json(by_alias=True, exclude_none=True))
    namespace = _own_namespace(connection)
    return _own_guard(connection.environment, namespace) if namespace else _guard(connection.environment, "")


@functools.lru_cache(maxsize=1024)
def _guard(environment: str, text: str) -> EgressGuard:
    # Shared, since thousands of connections have the same few rules.
    return EgressGuard(environment, text, EgressRules.model_validate_json(text) if text else None)


@functools.lru_cache(maxsize=1024)
def _own_guard(environment: str, namespace: str) -> EgressGuard:
    rules = EgressRules(mode="DenyAll", services=(ServiceRule(namespace=namespace, ports=(Port(port=names.SERVER_PORT),)),))
    return EgressGuard(environment, rules.model_dump_json(by_alias=True, exclude_none=True), rules, is_own=True)


def _own_namespace(connection: Connection) -> str | None:
    """Return the namespace of the installation's own Service, if that is what the URL names."""
    try:
        host = urlsplit(connection.url).hostname or ""
    except ValueError:
        return None
    name, _, rest = host.partition(".")
    namespace, _, suffix = rest.partition(".")
    return namespace if (name, suffix) == (names.server_name(connection.namespace, connection.name), "svc") else None
