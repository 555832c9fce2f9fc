"""HTTP/1.1 heads and bodies: what is read, and all that is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfinger_bridge.http_message import ChunkedBody, FixedBody, Head, Malformed, Response, parse_head, render

GOOD = b"POST /mcp?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nMCP-Name:  =?base64?eA==?= \t\r\nAccept: a\r\nAccept: b"


def test_a_head_is_read() -> None:
    head = parse_head(GOOD)
    assert isinstance(head, Head)
    assert (head.method, head.path, head.length, head.keep_alive, head.expects_continue) == ("POST", "/mcp", 5, True, False)
    assert dict(head.headers) == {"host": "a", "content-length": "5", "mcp-name": "=?base64?eA==?=", "accept": "a, b"}


@pytest.mark.parametrize(
    ("headers", "length", "keep_alive", "expects_continue"),
    [
        (b"", 0, True, False),
        (b"\r\nTransfer-Encoding: Chunked", None, True, False),
        (b"\r\nConnection: Keep-Alive, Close", 0, False, False),
        (b"\r\nContent-Length: 0007\r\nExpect: 100-Continue", 7, True, True),
    ],
)
def test_framing_and_persistence_are_read(headers: bytes, length: int | None, keep_alive: bool, expects_continue: bool) -> None:
    head = parse_head(b"GET / HTTP/1.1\r\nHost: a" + headers)
    assert isinstance(head, Head)
    assert (head.length, head.keep_alive, head.expects_continue) == (length, keep_alive, expects_continue)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"PRI * HTTP/2.0", 400),
        (b"get / HTTP/1.1\r\nHost: a", 400),
        (b"GET  / HTTP/1.1\r\nHost: a", 400),
        (b"GET / HTTP/1.1 \r\nHost: a", 400),
        (b"GET http://a/ HTTP/1.1\r\nHost: a", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: a", 400),
        (b"GET / HTTP/1.0\r\nHost: a", 505),
        (b"GET / HTTP/2.0\r\nHost: a", 505),
        (b"GET / HTTP/1.1", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nno colon", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n: empty name", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX : space before the colon", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: folded\r\n over lines", 400),
        (b"GET / HTTP/1.1\r\n Host: a", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\nY: b", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"\r\n".join([b"X: y"] * 100), 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \xb2", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nAuthorization: a\r\nAuthorization: b", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nMCP-Name: a\r\nmcp-name: a", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nExpect: more", 417),
    ],
)
def test_a_head_that_can_be_read_two_ways_is_refused(head: bytes, status: int) -> None:
    refused = parse_head(head)
    assert isinstance(refused, Malformed)
    assert refused.status == status


@given(st.binary(max_size=300), st.sampled_from([b"", b"GET / HTTP/1.1\r\n", GOOD, GOOD + b"\r\n"]))
def test_no_bytes_make_the_head_parser_fail(noise: bytes, start: bytes) -> None:
    assert isinstance(parse_head(start + noise), Head | Malformed)


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.lists(st.integers(1, 30), min_size=1, max_size=30), st.binary(max_size=20)
)
def test_a_chunked_body_is_the_same_however_it_arrives(chunks: list[bytes], steps: list[int], later: bytes) -> None:
    wire = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\nTrailer: x\r\n\r\n"
    body, buffer, result, rest = ChunkedBody(1000), bytearray(), None, wire
    while result is None:
        step = steps[len(rest) % len(steps)]
        buffer += rest[:step]
        rest = rest[step:]
        result = body.feed(buffer)
    assert (result, bytes(buffer) + rest) == (b"".join(chunks), b"")
    after = bytearray(wire + later)
    assert (ChunkedBody(1000).feed(after), bytes(after)) == (b"".join(chunks), later)


@pytest.mark.parametrize(
    ("wire", "status"),
    [
        (b"x\r\n", 400),
        (b"\r\n", 400),
        (b"-1\r\n", 400),
        (b"+1\r\na\r\n", 400),
        (b"0x1\r\na\r\n", 400),
        (b"1 1\r\na\r\n", 400),
        (b"1\na\n", None),
        (b"1\na\n0\r\n", 400),
        (b"1;a\nb\r\n", 400),
        (b"1\r\nab\r\n", 400),
        (b"1\r\na\n\n", 400),
        (b"1;" + b"x" * 300, 400),
        (b"b\r\n", 413),
        (b"a\r\n0123456789\r\n1\r\n", 413),
        (b"fffffffff\r\n", 400),
        (b"0\r\n" + b"x" * 5000, 431),
        (b"a\r\n012345678", None),
    ],
)
def test_a_chunked_body_that_is_malformed_or_too_large_is_refused(wire: bytes, status: int | None) -> None:
    result = ChunkedBody(10).feed(bytearray(wire))
    assert (result.status if isinstance(result, Malformed) else result) == status


def test_a_body_of_declared_length_leaves_what_follows() -> None:
    body, buffer = FixedBody(3), bytearray(b"ab")
    assert body.feed(buffer) is None
    buffer += b"cGET"
    assert (body.feed(buffer), bytes(buffer)) == (b"abc", b"GET")


def test_a_response_declares_its_length() -> None:
    response = Response(503, b"ab", "text/plain", (("Retry-After", "1"),))
    assert render(response, keep_alive=False) == (
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\nContent-Type: text/plain\r\nRetry-After: 1\r\nConnection: close\r\n\r\nab"
    )
    assert render(Response(202), keep_alive=True) == b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
