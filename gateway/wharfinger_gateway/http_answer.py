"""Answers as bytes: status line and header fields. Pure, but for the date."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Final, Protocol

JSON: Final[Mapping[str, str]] = {"Content-Type": "application/json", "Cache-Control": "no-store"}
"""The fields of nearly every answer."""
TEXT: Final[Mapping[str, str]] = {"Content-Type": "text/plain; charset=utf-8"}
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE: Final = b"Connection: close\r\n"
_BODILESS: Final = frozenset({204, 304})
_UNSAFE: Final = re.compile(r"[\r\n\0]")


class Fields(Protocol):
    """Header fields; a mapping, or a multidict where one stands several times."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Return every field."""


def answer_head(status: int, fields: Fields) -> bytes:
    """Return the beginning of an answer's head, without what frames its body and the empty line at its end.

    Raises ValueError for a field that would not stay one.
    """
    return (_JSON_OK if fields is JSON and status == 200 else _beginning(status, fields)) + _date(int(time.time()))


def whole_head(status: int, fields: Fields, length: int, persistence: bytes) -> bytes:
    """Return the head of an answer whose body has so many bytes; `persistence` is a line of the connection's, or none. Raises as `answer_head`."""
    framing = b"" if status in _BODILESS else b"Content-Length: %d\r\n" % length
    return answer_head(status, fields) + framing + persistence + b"\r\n"


@lru_cache(maxsize=2)
def _date(now: int) -> bytes:
    return f"Date: {formatdate(now, usegmt=True)}\r\n".encode()


def _beginning(status: int, fields: Fields) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    lines = [f"HTTP/1.1 {status} {phrase}", "Server: wharfinger"]
    for name, value in fields.items():
        if _UNSAFE.search(name) or _UNSAFE.search(value):
            raise ValueError(f"the header field {name!r} has characters that a header cannot have")
        lines.append(f"{name}: {value}")
    return "\r\n".join((*lines, "")).encode("utf-8", "surrogateescape")


_JSON_OK: Final = _beginning(200, JSON)
