"""Whatever bytes a client sends, they are a head or none, and a body that is the same however it is cut; never an exception."""

import asyncio

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wharfinger_gateway.http_head import MAX_FIELDS, Head, Heads, read_head
from wharfinger_gateway.refusals import Reason, Refusal
from wharfinger_gateway.request_body import UNASKED_BYTES, RequestBody

pytestmark = pytest.mark.requirement("GW-12")
LINES = st.sampled_from(
    [
        b"POST / HTTP/1.1", b"GET /v1/mcp/dev.tools?a=b HTTP/1.1", b"GET / HTTP/1.0", b"PRI * HTTP/2.0", b"CONNECT x:1 HTTP/1.1", b"Host: x",
        b"Content-Length: 5", b"content-length: 7", b"Content-Length: 99999999999999999999", b"Content-Length:5", b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip", b"Connection: close, keep-alive", b"Expect: 100-continue", b"Upgrade: h2c", b"Authorization: Bearer \xff", b"", b" x",
        b"X:",
    ]
)  # fmt: skip
ENDS = st.sampled_from([b"\r\n"] * 8 + [b"\n", b"\r", b"\0"])
HEADS = st.lists(st.tuples(LINES | st.binary(max_size=20), ENDS), max_size=8).map(
    lambda lines: b"".join(line + end for line, end in lines) + b"\r\n"
)
SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=8)


def seen(head: Head | None) -> object:
    if head is None:
        return None
    return head.verb, head.path, head.query, head.is_chunked, head.is_old, head.closes, head.expects, [*head.fields.items()]


@given(HEADS | st.binary(max_size=200))
@example(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
@example(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
@example(b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n")
def test_bytes_are_a_head_whose_parts_are_certain_or_none(text: bytes) -> None:
    head = read_head(text)
    if head is not None:
        assert head.verb
        assert 0 <= head.length < 2**64
        assert not (head.is_chunked and head.length)
        assert len(head.fields) <= MAX_FIELDS
        assert len(head.fields.getall("Host", [])) <= 1
        assert head.is_old or "Host" in head.fields
        assert not any(control in value for value in head.fields.values() for control in "\r\n\0")


@given(HEADS, SIZES)
@example(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", [1, 22, 3])
@example(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\ncontent-length: 7\r\n\r\n", [1, 2])
def test_a_head_that_was_seen_before_is_read_as_one_that_was_not(text: bytes, lengths: list[int]) -> None:
    heads = Heads()
    for length in (*lengths, *lengths):
        again = text.replace(b"Content-Length: 5", b"Content-Length: %d" % length).replace(
            b"content-length: 7", b"content-length: %d" % length
        )
        fresh, found = read_head(again), heads.read(again)
        assert seen(fresh) == seen(found[0] if found else None)
        assert fresh is None or (found is not None and found[1] == fresh.length)


def fed(sent: bytes, length: int | None, sizes: list[int], limit: int) -> tuple[bytes | Refusal, bytes]:
    """Return the body that comes in pieces of these sizes, in turn, and what comes after it."""

    async def run() -> tuple[bytes | Refusal, bytes]:
        body, at, turn, rest = RequestBody(length), 0, 0, b""
        reading = asyncio.create_task(body.read(limit))
        await asyncio.sleep(0)
        while at < len(sent) and not body.is_over:
            size = sizes[turn % len(sizes)]
            rest = body.feed(sent[at : at + size])
            at, turn = at + size, turn + 1
        body.end()
        return await asyncio.wait_for(reading, 5), rest + sent[at:]

    return asyncio.run(run())


@given(st.binary(max_size=60), st.binary(max_size=20), SIZES)
def test_a_body_of_known_length_ends_where_it_does_however_it_is_cut(content: bytes, after: bytes, sizes: list[int]) -> None:
    if content:
        assert fed(content + after, len(content), sizes, 100) == (content, after)
        assert fed(content[:-1], len(content), sizes, 100)[0] == Refusal(Reason.BODY_INCOMPLETE)
        assert fed(content + after, len(content), sizes, len(content) - 1)[0] == Refusal(Reason.TOO_LARGE)


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=5), SIZES)
def test_chunks_are_the_same_body_however_they_are_cut(chunks: list[bytes], sizes: list[int]) -> None:
    sent = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    whole = b"".join(chunks)
    assert fed(sent, None, sizes, 200)[0] == whole
    assert fed(sent[:-1], None, sizes, 200)[0] == Refusal(Reason.BODY_INCOMPLETE)
    if whole:
        assert fed(sent, None, sizes, len(whole) - 1)[0] == Refusal(Reason.TOO_LARGE)


@given(
    st.lists(
        st.binary(max_size=12) | st.sampled_from([b"5\r\nhello\r\n", b"0\r\n\r\n", b"ffffffffffffffff\r\n", b"-1\r\n", b"1;x=y\r\na\r\n"])
    ),
    SIZES,
)
def test_chunks_that_are_none_are_a_refusal_and_no_exception(pieces: list[bytes], sizes: list[int]) -> None:
    body, _ = fed(b"".join(pieces), None, sizes, 50)
    assert len(body) <= 50 if isinstance(body, bytes) else body.reason in (Reason.BODY_INCOMPLETE, Reason.TOO_LARGE)


@given(st.integers(1, 2**40))
def test_what_nobody_has_asked_for_is_known_to_be_ahead(length: int) -> None:
    body = RequestBody(length)
    body.feed(b"x" * (UNASKED_BYTES + 1))
    assert body.is_ahead
