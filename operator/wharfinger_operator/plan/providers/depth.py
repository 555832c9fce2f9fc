"""`**.` where a provider's wildcard stands for one label: the first depths are listed, and deeper names stay shut."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from wharfinger_crds import conditions as c
from wharfinger_crds.domain import ANY_DEPTH, ONE_LABEL
from wharfinger_crds.egress_rules import EgressRules
from wharfinger_operator.plan.providers.fence import listed

DEPTH: Final = 3


def enumerated(names: Iterable[str]) -> tuple[str, ...]:
    """Return patterns in which each `*` stands for one label, sorted, each once."""
    return tuple(sorted({pattern for name in names for pattern in _patterns(name)}))


def depth_limited(rules: EgressRules) -> list[tuple[str, str]]:
    """Return the problem for DomainsExact, if a rule asks for any depth."""
    deep = [d.name for d in rules.domains if d.name.startswith(ANY_DEPTH)]
    message = f"names up to {DEPTH} labels below are reached, deeper ones stay shut: {listed(deep)}; name the deeper ones"
    return [(c.DOMAIN_DEPTH_LIMITED, message)] if deep else []


def _patterns(name: str) -> tuple[str, ...]:
    if not name.startswith(ANY_DEPTH):
        return (name,)
    base = name.removeprefix(ANY_DEPTH)
    return tuple(pattern for depth in range(1, DEPTH + 1) if len(pattern := ONE_LABEL * depth + base) <= 255)
