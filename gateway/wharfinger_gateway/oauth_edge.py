"""The authorization server's edge: aiohttp's requests to its own, and its responses back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from wharfinger_gateway.incoming import ReadBody
from wharfinger_gateway.refusals import Refusal
from wharfinger_oauth.request import MAX_BODY, MAX_QUERY, Request, Response, parameters

_FORM = "application/x-www-form-urlencoded"
Answer = Callable[[Request], Awaitable[Response | None]]


async def answered(request: web.BaseRequest, read: ReadBody, answer: Answer) -> web.StreamResponse:
    """Answer a request that is no call of a gateway."""
    path, _, query = request.raw_path.partition("?")
    asked = parameters(query) if len(query) <= MAX_QUERY else None
    body = await read(MAX_BODY) if request.body_exists else b""
    if asked is None or isinstance(body, Refusal):
        status = body.status if isinstance(body, Refusal) else 400
        return web.Response(status=status, text="This request cannot be read: a parameter is given twice, or it is too long.\n")
    is_form = request.content_type == _FORM
    found = await answer(
        Request(
            verb=request.method,
            path=path,
            query=asked,
            form=_form(body) if is_form else {},
            body=b"" if is_form else body,
            headers={name.lower(): request.headers.getall(name) for name in request.headers},
            cookies=request.cookies,
            peer=request.remote or "",
        )
    )
    return web.Response(status=404, text="not found\n") if found is None else _response(found)


def _form(body: bytes) -> dict[str, str]:
    try:
        return dict(parameters(body.decode("ascii")) or {})
    except UnicodeDecodeError:
        return {}


def _response(found: Response) -> web.Response:
    response = web.Response(status=found.status, body=found.body, headers=found.headers)
    for name, value in found.cookies.items():
        response.headers.add("Set-Cookie", f"{name}={value}")
    return response
