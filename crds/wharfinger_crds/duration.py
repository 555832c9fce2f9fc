"""Durations and byte quantities as they stand in manifests."""

from __future__ import annotations

import re
from typing import Final

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_FACTORS: Final = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def seconds(text: str) -> float:
    """Return a duration such as `1m30s` in seconds (the form of Go's time.ParseDuration, without fractions and signs).

    Raises ValueError on any other text.
    """
    parts = re.findall(r"([0-9]{1,6})(ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration such as 30s or 5m")
    return sum(int(number) * _SECONDS[unit] for number, unit in parts)


def quantity(text: str) -> int:
    """Return a byte quantity such as `4Mi` in bytes (Kubernetes resource.Quantity, whole numbers only).

    Raises ValueError on any other text.
    """
    match = re.fullmatch(r"([0-9]{1,12})(Ki|Mi|Gi|k|M|G)?", text)
    if match is None:
        raise ValueError(f"{text!r} is not a quantity such as 512Ki or 4Mi")
    return int(match[1]) * _FACTORS[match[2] or ""]
