"""The bearer tokens that callers present, from a file that is read again whenever it changes.

The file holds one token a line, at most four, so that old and new are both good while a rotation spreads. A missing, unreadable or
empty file lets nobody in. Tokens are compared in constant time and never shown.
"""

import hmac
from pathlib import Path
from typing import Final

from wharfinger_bridge.log import log

TOKENS_LIMIT: Final = 4
_FILE_LIMIT = 16 * 1024
_SCHEME = "bearer "


class TokenFile:
    """Decides whether an Authorization header carries one of the tokens in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version: object = ()
        self._tokens: tuple[bytes, ...] = ()

    def admits(self, authorization: str | None) -> bool:
        """Tell whether the header's value is `Bearer` and a current token (RFC 6750 §2.1)."""
        if authorization is None or authorization[: len(_SCHEME)].lower() != _SCHEME:
            return False
        given = authorization[len(_SCHEME) :].strip().encode()
        # Every token is compared, so that time does not tell which one came close.
        return sum(hmac.compare_digest(given, token) for token in self._current()) > 0

    def _current(self) -> tuple[bytes, ...]:
        try:
            status = self._path.stat()
            version: object = (status.st_mtime_ns, status.st_ino, status.st_size)
            if version != self._version:
                self._tokens = _read_tokens(self._path)
                self._version = version
        except OSError as error:
            if self._version is not None:
                log("token file unreadable, nobody is let in", reason=error.strerror)
            self._version, self._tokens = None, ()
        return self._tokens


def _read_tokens(path: Path) -> tuple[bytes, ...]:
    with path.open("rb") as file:
        tokens = tuple(file.read(_FILE_LIMIT).split()[:TOKENS_LIMIT])
    log("token file read", tokens=len(tokens))
    return tokens
