"""By whom an entry or an environment is used: what a refused deletion tells."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nsmallest
from typing import Final

from wharfinger_crds.installation import Installation

SHOWN: Final = 10
"""As many as the status has room for."""


def used_by(installations: Iterable[Installation]) -> tuple[str, ...]:
    """Return the first installations by namespace and name."""
    return tuple("/".join(path) for path in nsmallest(SHOWN, ((i.metadata.namespace, i.metadata.name) for i in installations)))
