"""Pages that a server wants its caller to open, for what is not to pass through here: elicitation in URL mode. Pure.

2025-11-25 asks by a request that gives the page an id, or by an error that names pages; 2026-07-28 has neither id nor error.
Source: MCP 2025-11-25, elicitation, "URL Mode Elicitation Requests" and "URL Elicitation Required Error"; 2026-07-28, elicitation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from wharfinger_gateway.asking import MAX_QUESTIONS, Asking, InputRequest, is_allowed
from wharfinger_gateway.question import Question, Within
from wharfinger_mcp import jsonrpc
from wharfinger_mcp.jsonrpc import Params, Response

URL_ELICITATION_REQUIRED: Final = -32042


class Link(msgspec.Struct, frozen=True):
    """One page."""

    url: str
    message: str = ""

    def __str__(self) -> str:
        return f"{self.message}: {self.url}" if self.message else self.url


class _Links(msgspec.Struct):
    elicitations: list[Link] = []


_PAGE: Final = InputRequest("elicitation/create", {"mode": jsonrpc.raw_json("url")})
_links = msgspec.json.Decoder(_Links)


def required_links(response: Response) -> tuple[Link, ...]:
    """Return the pages that an error of 2025-11-25 wants its caller to open; none where it is another error, or names them in other words."""
    if response.error is None or response.error.code != URL_ELICITATION_REQUIRED or response.error.data is msgspec.UNSET:
        return ()
    try:
        return tuple(_links.decode(response.error.data).elicitations[:MAX_QUESTIONS])
    except (msgspec.DecodeError, RecursionError):
        return ()


def link_requests(links: tuple[Link, ...]) -> Mapping[str, InputRequest]:
    """Return the same as what a server of the newest era asks for, by key."""
    asked = [{"mode": "url", "url": one.url, "message": one.message} for one in links]
    params = [{name: jsonrpc.raw_json(value) for name, value in one.items()} for one in asked]
    return {f"link-{number}": InputRequest(_PAGE.method, one) for number, one in enumerate(params, 1)}


def understands_links(question: Question, asks: Asking) -> bool:
    """Tell whether an error that names pages says anything to the caller."""
    return isinstance(question.rules, Within) and is_allowed(_PAGE, asks.capabilities)


def with_elicitation_id(method: str, params: Params, id_: str) -> Params:
    """Return the params of a question as an older client takes them, where a page has an id; the server's own one stays."""
    is_page = method == _PAGE.method and jsonrpc.text_member(params, "mode") == "url" and "elicitationId" not in params
    return {**params, "elicitationId": jsonrpc.raw_json(id_)} if is_page else params
