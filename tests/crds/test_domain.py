"""Domains of egress rules: one grammar, one form, and what a rule covers."""

import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfinger_crds.domain import MAXIMUM, DomainError, covers, host_name, normalized

labels = st.text(alphabet=string.ascii_letters + string.digits + "-", min_size=1, max_size=20).filter(
    lambda label: label[0] != "-" and label[-1] != "-"
)
names = st.lists(labels, min_size=1, max_size=4).map(lambda found: ".".join([*found, "example"]))
wildcards = st.sampled_from(["", "*.", "**."])


@pytest.mark.requirement("ENV-3")
@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("api.github.com", "api.github.com"),
        ("API.GitHub.COM.", "api.github.com"),
        ("*.Acme.dev", "*.acme.dev"),
        ("**.acme.dev.", "**.acme.dev"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("*.BÜCHER.example", "*.xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("a--b.1.x", "a--b.1.x"),
        ("3.14.x2", "3.14.x2"),
        (f"{'a' * 63}.example", f"{'a' * 63}.example"),
    ],
)
def test_a_domain_has_one_form(text: str, form: str) -> None:
    assert normalized(text) == form


@pytest.mark.requirement("ENV-3")
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "fewer than two labels"),
        (".", "fewer than two labels"),
        ("localhost", "fewer than two labels"),
        ("*", "wildcard"),
        ("**", "wildcard"),
        ("*.", "fewer than two labels"),
        ("*.com", "fewer than two labels"),
        ("***.a.example", "wildcard"),
        ("a.*.example", "wildcard"),
        ("a*.b.example", "wildcard"),
        ("*.*.b.example", "wildcard"),
        ("a.**.example", "wildcard"),
        ("https://a.example", "scheme"),
        ("a.example/x", "path"),
        ("a.example:443", "port"),
        ("[::1]", "port or is an address"),
        ("fd00:ec2::254", "port or is an address"),
        ("169.254.169.254", "ends in a number"),
        ("127.1", "ends in a number"),
        ("a.0x7f", "ends in a number"),
        ("a.0X", "ends in a number"),
        ("a..example", "empty label"),
        (".a.example", "empty label"),
        ("a.example..", "empty label"),
        ("-a.example", "inner hyphens"),
        ("a-.example", "inner hyphens"),
        ("a_b.example", "inner hyphens"),
        ("a b.example", "inner hyphens"),
        ("a.exam\nple", "inner hyphens"),
        ("user@a.example", "inner hyphens"),
        ("☃.example", "IDNA refuses"),
        ("例え。テスト", "fewer than two labels"),
        ("例え。テスト.example", "inner hyphens"),
        (f"{'a' * 64}.example", "more than 63"),
        (f"{'ü' * 60}.example", "IDNA refuses"),
        ("a." * 128, "longer than 253"),
        ("a." * 100_000, "longer than 253"),
    ],
)
def test_what_is_no_domain_is_named_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(DomainError) as caught:
        normalized(text)

    assert why in str(caught.value)
    assert repr(text[:80])[1:-1] in str(caught.value)


@pytest.mark.requirement("ENV-3")
@given(wildcards, names)
def test_a_form_stays_itself(wildcard: str, name: str) -> None:
    once = normalized(wildcard + name)

    assert normalized(once) == once
    assert normalized(f"{once.upper()}.") == once


@given(st.text(max_size=300))
def test_any_text_is_a_domain_within_the_limits_or_is_refused(text: str) -> None:
    try:
        name = normalized(text)
    except DomainError:
        return
    assert len(name) <= MAXIMUM
    assert name == name.lower()
    assert all(0 < len(label) <= 63 for label in name.split("."))
    assert name.isascii()


def test_the_longest_refused_text_costs_no_more_than_others() -> None:
    # A bound far above the cost, and far below what a backtracking expression takes for such a text.
    started = time.process_time()
    for text in ("a-" * 126 + ".x!", "*." + "a" * 250 + "!", "ü" * 252 + ".x"):
        assert host_name(text) is None

    assert time.process_time() - started < 5


@pytest.mark.requirement("ENV-3")
@pytest.mark.parametrize(
    ("rule", "covered", "not_covered"),
    [
        ("x.example", ["x.example"], ["a.x.example", "xx.example", "example"]),
        ("*.x.example", ["a.x.example"], ["x.example", "a.b.x.example", "ax.example"]),
        ("**.x.example", ["a.x.example", "a.b.x.example"], ["x.example", "ax.example", "x.example.evil.example"]),
    ],
)
def test_a_rule_covers_what_its_wildcard_says(rule: str, covered: list[str], not_covered: list[str]) -> None:
    assert [host for host in covered if not covers(rule, host)] == []
    assert [host for host in not_covered if covers(rule, host)] == []


@pytest.mark.requirement("ENV-3")
@given(names, st.lists(labels, max_size=3), names)
def test_wildcards_count_labels(base: str, front: list[str], other: str) -> None:
    base = normalized(base)
    host = normalized(".".join([*front, base]))

    assert covers(base, host) == (not front)
    assert covers(f"*.{base}", host) == (len(front) == 1)
    assert covers(f"**.{base}", host) == (len(front) >= 1)
    assert not covers(f"**.{base}", normalized(other)) or normalized(other).endswith(f".{base}")


@pytest.mark.parametrize(
    ("text", "name"), [("API.example.", "api.example"), ("*.example.com", None), ("localhost", None), ("10.0.0.1", None), ("::1", None)]
)
def test_the_host_of_a_url_is_a_name_or_nothing_that_a_rule_can_mean(text: str, name: str | None) -> None:
    assert host_name(text) == name
