"""An address of this machine that egress rules can open, which loopback is not, and an environment's rules that open it."""

from typing import Any

from local_cluster import machine
from wharfinger_crds.egress_rules import EgressRules, egress_rules
from wharfinger_crds.environment import Egress


def _own() -> str:
    found = machine.address()
    if found is None:
        raise RuntimeError("this machine has no IPv4 address but 127.0.0.1, which no egress rule opens: ip addr add 198.51.100.1/32 dev lo")
    return found


ADDRESS = _own()
EGRESS: dict[str, Any] = {"mode": "Restricted", "cidrs": [{"cidr": f"{ADDRESS}/32"}]}
"""As it stands in an Environment."""


def rules(**egress: Any) -> EgressRules:
    """Return the rules of an environment, given as in its spec; without any, those that open this machine's address."""
    found = egress_rules(Egress.model_validate(egress or EGRESS))
    assert isinstance(found, EgressRules), found
    return found
