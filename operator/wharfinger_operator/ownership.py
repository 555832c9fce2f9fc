"""Whether the operator made an object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wharfinger_crds import names
from wharfinger_operator.diff import stamp_of


def is_ours(found: Mapping[str, Any]) -> bool:
    """Tell it by the label; where somebody took that off, by the annotation of what was applied."""
    return found["metadata"].get("labels", {}).get(names.MANAGED_BY) == names.MANAGER or stamp_of(found) is not None
