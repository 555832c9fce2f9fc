"""The URL of a server, and the head of a request to it."""

import pytest

from wharfinger_mcp.endpoint import parse_endpoint
from wharfinger_mcp.errors import MisconfiguredError

URLS = {
    "https://a.example/mcp": ("a.example", 443, True, "/mcp", "a.example"),
    "HTTPS://A.Example:443/mcp": ("a.example", 443, True, "/mcp", "a.example"),
    "http://a.example": ("a.example", 80, False, "/", "a.example"),
    "http://a.example:8080/x/?q=1&r=a%20b": ("a.example", 8080, False, "/x/?q=1&r=a%20b", "a.example:8080"),
    "https://[2001:DB8::1]:8443/mcp": ("2001:db8::1", 8443, True, "/mcp", "[2001:db8::1]:8443"),
    "https://bücher.example/mcp": ("xn--bcher-kva.example", 443, True, "/mcp", "xn--bcher-kva.example"),
    "https://faß.example/": ("xn--fa-hia.example", 443, True, "/", "xn--fa-hia.example"),
    "https://a.example./": ("a.example.", 443, True, "/", "a.example."),
    "https://a。example/": ("a.example", 443, True, "/", "a.example"),
    "https://\uff11\uff12\uff17.\uff10.\uff10.\uff11/": ("127.0.0.1", 443, True, "/", "127.0.0.1"),
    "https://1.2.3.4.example/": ("1.2.3.4.example", 443, True, "/", "1.2.3.4.example"),
    "https://a.example/ü b\u2028": ("a.example", 443, True, "/%C3%BC%20b%E2%80%A8", "a.example"),
    "http://svc.ns.svc.cluster.local:8080/mcp": ("svc.ns.svc.cluster.local", 8080, False, "/mcp", "svc.ns.svc.cluster.local:8080"),
}


NUMBERS = (
    "2130706433", "0x7f000001", "0x7f.1", "127.1", "127.0.1", "017700000001", "0177.0.0.1", "127.0.0.01", "127.0.0.1.", "0x7f.0.0.1",
    "a.example.0x7f", "1.2.3.4.5", "999.1.1.1", "0", "0x", "\uff11\uff12\uff17.1",
)  # fmt: skip
"""What some resolver or other takes for an IPv4 address, and another one for something else."""


@pytest.mark.parametrize("url", URLS)
def test_a_url_is_taken_apart(url: str) -> None:
    endpoint = parse_endpoint(url)
    origin = endpoint.origin
    assert (origin.host, origin.port, origin.tls, endpoint.target, endpoint.host) == URLS[url]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://a.example/", "begin with https"),
        ("a.example/mcp", "begin with https"),
        ("https:///mcp", "no host"),
        ("https://a.example:0x1/", "malformed"),
        ("https://a.example:99999/", "malformed"),
        ("https://[::1/", "malformed"),
        ("https://a b.example/", "malformed"),
        ("https://[fe80::1%25eth0]/", "malformed"),
        ("https://a..é.example/", "malformed"),
        ("https://-é.example/", "malformed"),
        *((f"https://{host}/", "malformed") for host in NUMBERS),
        ("https://a.example\\b.example/", "malformed"),
        ("https://a.example\\@b.example/", "credential belongs in a header"),
        ("https://user:hunter2@a.example/", "credential belongs in a header"),
        ("https://a.example/#x", "fragment"),
        ("https://a.example/" + "a" * 5000, "4096"),
    ],
)
def test_an_unusable_url_is_refused_with_the_reason_and_without_its_secrets(url: str, why: str) -> None:
    with pytest.raises(MisconfiguredError, match=why) as refused:
        parse_endpoint(url)
    assert "hunter2" not in str(refused.value)


def test_a_head_has_our_fields_and_the_callers() -> None:
    endpoint = parse_endpoint("http://a.example:8080/mcp?k=v")
    assert endpoint.request_head("POST", {"Accept": "application/json"}, {"Authorization": "Bearer t"}, 5) == (
        b"POST /mcp?k=v HTTP/1.1\r\nHost: a.example:8080\r\nAccept-Encoding: identity\r\n"
        b"Accept: application/json\r\nAuthorization: Bearer t\r\nContent-Length: 5\r\n\r\n"
    )


def test_of_a_head_that_was_written_before_nothing_is_used_again_that_has_changed() -> None:
    endpoint, kind, own, headers, other = parse_endpoint("http://a.example"), {"A": "1"}, {"B": "2"}, {"C": "3"}, {"B": "4"}
    none: dict[str, str] = {}
    asked: list[tuple[str, dict[str, str], dict[str, str], int, dict[str, str]]] = [
        ("POST", own, headers, 1, kind),
        ("POST", own, headers, 20, kind),
        ("GET", own, headers, 1, kind),
        ("GET", own, headers, 1, none),
        ("GET", other, headers, 1, none),
        ("GET", other, {"C": "5"}, 1, none),
    ]
    again = [endpoint.request_head(*one) for one in asked]
    assert again == [parse_endpoint("http://a.example").request_head(*one) for one in asked]
    assert len(set(again)) == len(asked)


@pytest.mark.parametrize("value", ["hunter2\r\nX: y", "hunter2\n", "hunter2\0", "hunter2\u20ac"])
def test_a_header_value_that_would_break_the_head_is_refused_and_not_shown(value: str) -> None:
    with pytest.raises(MisconfiguredError, match="x-key") as refused:
        parse_endpoint("http://a.example").request_head("POST", {}, {"x-key": value}, 0)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "name", ["Host", "content-length", "Transfer-Encoding", "CONNECTION", "mcp-session-id", "Mcp-Name", "a b", "a:", "", "é"]
)
def test_a_header_that_is_ours_to_set_is_refused(name: str) -> None:
    with pytest.raises(MisconfiguredError):
        parse_endpoint("http://a.example").request_head("POST", {}, {name: "x"}, 0)


def test_connections_are_shared_only_under_one_ca_bundle() -> None:
    assert parse_endpoint("https://a.example/x").origin == parse_endpoint("https://a.example:443/y").origin
    assert parse_endpoint("https://a.example/x").origin != parse_endpoint("https://a.example/x", ca_bundle="pem").origin


def test_a_query_stays_out_of_what_people_see() -> None:
    endpoint = parse_endpoint("https://a.example/mcp?key=hunter2")
    assert endpoint.path == "/mcp"
    assert "hunter2" not in repr(endpoint)
