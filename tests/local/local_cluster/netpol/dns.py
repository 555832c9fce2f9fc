"""DNS messages as far as the proxy must read them: the name that is asked for, and the addresses of the answer. Source: RFC 1035 §4.

Pure. A message that cannot be read raises ValueError, whatever its bytes are.
"""

import socket
import struct
from dataclasses import dataclass

HEADER = 12
A_RECORD = 1
REFUSED = b"\x81\x85"
LONGEST_CHAIN = 128


@dataclass(frozen=True)
class Question:
    """The name that a query asks for, in lower case without the last dot, and where the question section ends."""

    name: str
    end: int


def query(name: str) -> bytes:
    """A query for the IPv4 addresses of a name."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!HHHHHH", 1, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", A_RECORD, 1)


def question(message: bytes) -> Question:
    """The first question of a message."""
    name, end = _name(message, HEADER)
    if end + 4 > len(message):
        raise ValueError("the question is cut off")
    return Question(name, end + 4)


def refusal(query: bytes) -> bytes:
    """The response that refuses a query."""
    return query[:2] + REFUSED + query[4:6] + bytes(6) + query[HEADER : question(query).end]


def addresses(response: bytes) -> tuple[tuple[str, int], ...]:
    """The IPv4 addresses of a response and their times to live, in seconds; those at the end of a chain of aliases too."""
    at, found = question(response).end, []
    try:
        (count,) = struct.unpack_from("!H", response, 6)
        for _ in range(count):
            _, at = _name(response, at)
            kind, _, ttl, size = struct.unpack_from("!HHIH", response, at)
            at += 10
            if kind == A_RECORD:
                found.append((socket.inet_ntoa(response[at : at + 4]), ttl))
            at += size
    except (struct.error, OSError) as e:
        raise ValueError(f"the answer cannot be read: {e}") from e
    return tuple(found)


def _name(message: bytes, at: int) -> tuple[str, int]:
    parts: list[str] = []
    end = 0
    try:
        for _ in range(LONGEST_CHAIN):
            length = message[at]
            if length == 0:
                return ".".join(parts).lower(), end or at + 1
            if length & 0xC0:
                end = end or at + 2
                at = ((length & 0x3F) << 8) | message[at + 1]
            else:
                parts.append(message[at + 1 : at + 1 + length].decode("latin1"))
                at += 1 + length
    except IndexError:
        raise ValueError("a name is cut off") from None
    raise ValueError("a name has no end")
