"""Resource quantities, compared by their amount: `1`, `1.0`, `"1000m"` and `1e0` are one (Kubernetes resource.Quantity)."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import Final

_FORM: Final = re.compile(
    r"([+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30}))(?:(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)|[eE]([+-]?[0-9]{1,2}))?"
)
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


def amount(value: object) -> Fraction | None:
    """Return the exact amount of a quantity, given as text or number; None for everything else."""
    return None if isinstance(value, bool) or not isinstance(value, str | int | float) else _amount(str(value).strip())


@lru_cache(maxsize=512)
def _amount(text: str) -> Fraction | None:
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    number, unit, exponent = found.groups()
    if unit in _BINARY:
        return Fraction(number) * (1 << _BINARY[unit])
    power = int(exponent) if exponent else _DECIMAL.get(unit or "", 0)
    return Fraction(number) * Fraction(f"1e{power}")
