"""What a server says while it works on a call, as its caller may hear it.

Invariants: progress reaches whom it is for, under the token that he gave; log messages only as severe as he asked for; what the gateway
says itself (that lists have changed) is not passed on twice. Everything else goes through as it came.
"""

from __future__ import annotations

import itertools
from typing import Final

import msgspec
from msgspec import Raw

from wharfinger_gateway.question import Question
from wharfinger_mcp import jsonrpc
from wharfinger_mcp.jsonrpc import Notification, Params, Request
from wharfinger_mcp.notification import ACKNOWLEDGED, CANCELLED, INITIALIZED, LISTS_CHANGED, LOGGED, PROGRESS, PROGRESS_TOKEN, UPDATED

LOG_LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
"""From the least severe to the most (RFC 5424 §6.2.1)."""
_OURS: Final = LISTS_CHANGED | {CANCELLED, INITIALIZED, UPDATED, ACKNOWLEDGED}
_tokens = itertools.count(1)


class Relay:
    """Passes on what is said during one call. Belongs to its request."""

    __slots__ = ("_asked", "_question", "token")

    def __init__(self, question: Question, params: Params, token: int | None = None) -> None:
        self._question = question
        self._asked = _asked_token(params)
        self.token = token if token is not None else next(_tokens) if self._asked is not None else None
        """What the server is to name in its progress messages: unique among all calls, whatever clients choose."""

    async def take(self, message: Request | Notification) -> None:
        """Pass on a message, if it is one for the client."""
        if isinstance(message, Request) or message.method in _OURS:
            return
        params = message.params
        if message.method == PROGRESS:
            if self._asked is None or bytes(params.get(PROGRESS_TOKEN, b"")) != b"%d" % (self.token or 0):
                return
            params = {**params, PROGRESS_TOKEN: self._asked}
        elif message.method == LOGGED and not is_wanted(jsonrpc.text_member(params, "level"), self._question.log_level):
            return
        await self._question.channel.say(jsonrpc.notification_bytes(message.method, params))


def is_for_stream(message: Notification, least: str | None) -> bool:
    """Tell whether what a server says outside of any call is for its client, who wants to hear logs from this level up."""
    if message.method in _OURS or message.method == PROGRESS:
        return False
    return message.method != LOGGED or is_wanted(jsonrpc.text_member(message.params, "level"), least)


def is_wanted(level: str | None, least: str | None) -> bool:
    """Tell whether a message of this level is severe enough."""
    return level in LOG_LEVELS and least in LOG_LEVELS and LOG_LEVELS.index(level) >= LOG_LEVELS.index(least)


def _asked_token(params: Params) -> Raw | None:
    """Return the token under which the client wants to hear of progress: a string or an integer."""
    meta = jsonrpc.members(params["_meta"]) if "_meta" in params else None
    token = meta.get(PROGRESS_TOKEN) if meta else None
    if token is None:
        return None
    try:
        return token if isinstance(msgspec.json.decode(token, type=str | int), str | int) else None
    except msgspec.DecodeError:
        return None
