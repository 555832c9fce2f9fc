"""One log line per event on the container's stderr: `bridge: <event> key=value …`.

Never a token, an argument of the server's command or the content of a call. What a server itself printed is bounded and escaped.
"""

import contextlib
import json
import os
import re

STDERR = 2
TEXT_LIMIT = 500

_BARE = re.compile(r"[\w.:/+-]+", re.ASCII)


def log(event: str, **fields: object) -> None:
    """Write one event; a single write keeps lines of bridge and server apart."""
    line = " ".join((f"bridge: {event}", *(f"{name}={_shown(value)}" for name, value in fields.items())))
    # The server shares this pipe and may have made it non-blocking (Node.js does): a full or closed one costs the line, nothing else.
    with contextlib.suppress(OSError):
        os.write(STDERR, f"{line}\n".encode("utf-8", "backslashreplace"))


def _shown(value: object) -> str:
    text = f"{value:.1f}" if isinstance(value, float) else str(value)
    if len(text) > TEXT_LIMIT:
        text = f"{text[:TEXT_LIMIT]}…"
    return text if _BARE.fullmatch(text) else json.dumps(text)
