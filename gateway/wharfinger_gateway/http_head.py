"""The head of an HTTP/1.1 request: bytes to a value. Pure.

llhttp reads it, as strictly as it can (RFC 9112); what it lets through and two readers might take differently is no head here.
"""

from __future__ import annotations

from typing import Final

import httptools
from multidict import CIMultiDict

MAX_HEAD_BYTES: Final = 32 * 1024
MAX_FIELDS: Final = 128
END: Final = b"\r\n\r\n"
_SOLE: Final = ("Host", "Content-Type")
"""Fields that decide something and of which there is one (RFC 9110 §5.3)."""
_LENGTH: Final = b"\r\nContent-Length: "
_LOWER_LENGTH: Final = b"\r\ncontent-length: "
_MAX_DIGITS: Final = 15


class Head:
    """A request's head. Its framing has been taken out of the fields."""

    __slots__ = ("closes", "expects", "fields", "is_chunked", "is_old", "length", "memo", "path", "query", "verb")

    def __init__(self, verb: str, target: str, fields: CIMultiDict[str], *, is_old: bool) -> None:
        self.verb = verb
        self.is_old = is_old
        """Of HTTP/1.0."""
        self.path, _, self.query = target.partition("?")
        self.is_chunked = bool(fields.popall("Transfer-Encoding", []))
        self.length = int(fields.pop("Content-Length", "0"))
        self.expects = fields.get("Expect", "").lower() == "100-continue" and not is_old
        options = [option.strip().lower() for value in fields.getall("Connection", []) for option in value.split(",")]
        self.closes = "keep-alive" not in options if is_old else "close" in options
        self.fields = fields
        self.memo: object = None
        """What was made of it; for whoever handles it, while the same head comes on the same connection, and soon forgotten."""

    def __repr__(self) -> str:
        return f"Head({self.verb} {self.path})"


def read_head(text: bytes) -> Head | None:
    """Return the head that these bytes are, from the first to the empty line at the end; None where they are none."""
    found = _Found()
    parser = httptools.HttpRequestParser(found)
    try:
        parser.feed_data(text)
    except httptools.HttpParserUpgrade:
        pass  # an offer to speak something else, which may be passed over (RFC 9110 §7.8); CONNECT's target is no path of ours
    except httptools.HttpParserError:
        return None
    version = parser.get_http_version() if found.heads == 1 and found.messages == 1 else ""
    if version not in ("1.1", "1.0") or len(found.fields) > MAX_FIELDS:
        return None
    fields = CIMultiDict(found.fields)
    codings = fields.getall("Transfer-Encoding", [])
    if any(len(fields.getall(name, [])) > 1 for name in _SOLE) or (version == "1.1" and "Host" not in fields):
        return None
    if codings and (version == "1.0" or codings[0].lower() != "chunked"):
        return None
    return Head(parser.get_method().decode(), found.target.decode("latin-1"), fields, is_old=version == "1.0")


class Heads:
    """The heads of one connection: a client says nearly the same again and again, and what was read once is not read again.

    What differs from one request to the next, the body's length, is set apart first.
    """

    __slots__ = ("_known",)

    KEPT: Final = 4

    def __init__(self) -> None:
        self._known: dict[bytes, Head] = {}

    def forget(self) -> None:
        """Keep nothing of what was made of them: it may hold on to a world that is gone."""
        for head in self._known.values():
            head.memo = None

    def read(self, text: bytes) -> tuple[Head, int] | None:
        """Return the head that these bytes are and its body's length; None where they are none."""
        begin = text.find(_LENGTH)
        if begin < 0:
            begin = text.find(_LOWER_LENGTH)
        if begin < 0:
            digits, rest = b"0", text
        else:
            end = text.find(b"\r\n", begin + len(_LENGTH))
            digits, rest = text[begin + len(_LENGTH) : end], text[:begin] + text[end:]
        known = self._known.get(rest)
        if known is not None and digits.isdigit() and len(digits) <= _MAX_DIGITS:
            return known, int(digits)
        head = read_head(text)
        if head is None:
            return None
        # Any other way to write the length would be read over above.
        if not head.is_chunked and _LOWER_LENGTH[:-1] not in rest.lower():
            if len(self._known) >= self.KEPT:
                self._known.clear()
            self._known[rest] = head
        return head, head.length


class _Found:
    """What the parser says."""

    __slots__ = ("fields", "heads", "messages", "target")

    def __init__(self) -> None:
        self.fields: list[tuple[str, str]] = []
        self.target = b""
        self.heads = 0
        self.messages = 0

    def on_message_begin(self) -> None:
        self.messages += 1

    def on_url(self, piece: bytes) -> None:
        self.target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.decode("ascii"), value.decode("utf-8", "surrogateescape")))

    def on_headers_complete(self) -> None:
        self.heads += 1
