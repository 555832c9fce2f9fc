"""The authorization server's edge: HTTP requests to its own, and its responses back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from multidict import CIMultiDict

from wharfinger_gateway.http_answer import TEXT
from wharfinger_gateway.http_exchange import Exchange
from wharfinger_gateway.refusals import Refusal
from wharfinger_mcp import media_type
from wharfinger_oauth.request import MAX_BODY, MAX_QUERY, Request, Response, parameters

_FORM = "application/x-www-form-urlencoded"
_UNREADABLE = b"This request cannot be read: a parameter is given twice, or it is too long.\n"
Answer = Callable[[Request], Awaitable[Response | None]]


async def answer(exchange: Exchange, ask: Answer) -> None:
    """Answer a request that is no call of a gateway."""
    head = exchange.head
    asked = parameters(head.query) if len(head.query) <= MAX_QUERY else None
    body = await exchange.read(MAX_BODY)
    if asked is None or isinstance(body, Refusal):
        exchange.answer(body.status if isinstance(body, Refusal) else 400, TEXT, _UNREADABLE)
        return
    is_form = media_type.essence(head.fields.get("Content-Type")) == _FORM
    found = await ask(
        Request(
            verb=head.verb,
            path=head.path,
            query=asked,
            form=_form(body) if is_form else {},
            body=b"" if is_form else body,
            headers={name.lower(): head.fields.getall(name) for name in head.fields},
            cookies=_cookies(head.fields.getall("Cookie", [])),
            peer=exchange.peer,
        )
    )
    if found is None:
        exchange.answer(404, TEXT, b"not found\n")
        return
    fields = CIMultiDict(found.headers)
    for name, value in found.cookies.items():
        fields.add("Set-Cookie", f"{name}={value}")
    exchange.answer(found.status, fields, found.body)


def _form(body: bytes) -> dict[str, str]:
    try:
        return dict(parameters(body.decode("ascii")) or {})
    except UnicodeDecodeError:
        return {}


def _cookies(fields: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for field in fields:
        for pair in field.split(";"):
            name, _, value = pair.strip(" \t").partition("=")
            found.setdefault(name, value)
    return found
