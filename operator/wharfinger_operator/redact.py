"""Take secret values out of text; pure.

Invariants: longer values go first, so that one that contains another leaves no rest; a value is also found in the forms in which programs
like to print it. What a program derived in another way (a hash, a half of it) is not found: nobody can.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote

REDACTED: Final = "[redacted]"
_WORD: Final = 4
"""A shorter value is taken out where it stands as a word only: as a part of words it would make the text unreadable."""
_LINE: Final = 8
"""A line of a value of several lines is a secret of its own from this length on: a log may be cut between them."""


def redacted(text: str, secrets: Iterable[str]) -> str:
    """Return the text with every occurrence of each secret value replaced."""
    forms = sorted({form for secret in secrets for form in _forms(secret) if form.strip()}, key=lambda form: (-len(form), form))
    if not forms:
        return text
    return re.sub("|".join(_found(form) for form in forms), REDACTED, text)


def _found(form: str) -> str:
    escaped = re.escape(form)
    return escaped if len(form) >= _WORD else rf"(?<!\w){escaped}(?!\w)"


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield secret.strip()
    yield from (line.strip() for line in secret.splitlines() if len(line.strip()) >= _LINE)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    if len(secret) >= _WORD:
        yield quote(secret, safe="")
        yield quote(secret)
        encoded = secret.encode()
        yield base64.b64encode(encoded).decode().rstrip("=")
        yield base64.urlsafe_b64encode(encoded).decode().rstrip("=")
