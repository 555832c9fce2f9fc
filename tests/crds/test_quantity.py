"""Quantities are compared by their amount."""

from fractions import Fraction

import pytest

from wharfinger_crds.quantity import amount


@pytest.mark.parametrize(
    ("equal", "value"),
    [
        (("1", 1, 1.0, "1000m", "1e0", "1E0", "1.0", " 1 ", "1000000u"), Fraction(1)),
        (("500m", 0.5, ".5", "0.5", "5e-1"), Fraction(1, 2)),
        (("1Gi", "1024Mi", 1073741824, "1073741824"), Fraction(2**30)),
        (("1G", "1000M", "1e9"), Fraction(10**9)),
        (("1E",), Fraction(10**18)),
        (("0", 0, "0Mi"), Fraction(0)),
    ],
)
def test_forms_of_one_amount_are_equal(equal: tuple[object, ...], value: Fraction) -> None:
    assert [amount(form) for form in equal] == [value] * len(equal)


@pytest.mark.parametrize("value", [None, True, "", "much", "1 Gi", "1gi", "1KiB", "--1", "1e", "1e999", "9" * 99, {}, []])
def test_what_is_no_quantity_has_no_amount(value: object) -> None:
    assert amount(value) is None
