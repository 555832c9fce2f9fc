"""Content-Type and Accept of a POST, as pure checks.

Source: specification 2025-11-25 and 2026-07-28, streamable HTTP, "Sending Messages"; RFC 9110 sections 8.3 and 12.5.1.
"""

from __future__ import annotations

from typing import Final

from wharfinger_mcp import jsonrpc
from wharfinger_mcp.header import Fields
from wharfinger_mcp.revision import Rejection

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"
ACCEPT_BOTH: Final = f"{JSON}, {EVENT_STREAM}"


def essence(content_type: str | None) -> str:
    """Return the media type without parameters, lower case; empty where there is none."""
    if content_type in (JSON, EVENT_STREAM):
        return content_type
    return (content_type or "").partition(";")[0].strip().lower()


def accepts(fields: Fields, media_type: str) -> bool:
    """Whether an answer of `media_type` is welcome. No Accept at all, and wildcards, welcome anything."""
    ranges = ",".join(fields.getall("Accept", []))
    if not ranges.strip():
        return True
    wildcards = (media_type, media_type.partition("/")[0] + "/*", "*/*")
    return any(essence(part) in wildcards and not _is_weight_zero(part) for part in ranges.split(","))


def reject_media(fields: Fields) -> Rejection | None:
    """Return why a POST's media types cannot be served, None where they can.

    1. `Content-Type` is `application/json` → else 415.
    2. `application/json` is acceptable → else 406. The specification has clients list `text/event-stream` too; one that
       does not is served as long as its answers need no stream.
    3. `Content-Encoding`, if given, is `identity` → else 415.
    """
    if essence(",".join(fields.getall("Content-Type", []))) != JSON:
        return Rejection(415, jsonrpc.INVALID_REQUEST, f"Content-Type must be {JSON}")
    if not accepts(fields, JSON):
        return Rejection(406, jsonrpc.INVALID_REQUEST, f"Accept must list {ACCEPT_BOTH}")
    if any(coding.strip().lower() != "identity" for coding in fields.getall("Content-Encoding", [])):
        return Rejection(415, jsonrpc.INVALID_REQUEST, "Content-Encoding: send the body as it is")
    return None


def _is_weight_zero(part: str) -> bool:
    for parameter in part.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            return value.strip().rstrip("0").rstrip(".") in ("", "0")
    return False
