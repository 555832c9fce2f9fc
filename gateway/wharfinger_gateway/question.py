"""What an admitted caller asks, and by which rules it is answered."""

from __future__ import annotations

import msgspec

from wharfinger_gateway.authorize import Permit
from wharfinger_gateway.incoming import Channel, Headers, Incoming
from wharfinger_gateway.session import Session
from wharfinger_gateway.sessions import LegacySession
from wharfinger_mcp.jsonrpc import Batch, Message, Notification, Request, Response
from wharfinger_mcp.notification import cancelled_id
from wharfinger_mcp.revision import Modern


class Opening(msgspec.Struct, frozen=True):
    """A legacy client opens a session."""

    request: Request


class Within(msgspec.Struct, frozen=True):
    """A legacy client's message in its session."""

    session: Session
    state: LegacySession

    def __repr__(self) -> str:
        return f"Within({self.session!r})"


Rules = Modern | Within | Opening
"""By which rules a message is answered."""


class Question(msgspec.Struct, frozen=True):
    """What is asked, and by which rules it is answered."""

    permit: Permit
    message: Message | Batch
    incoming: Incoming
    rules: Rules
    body: bytes
    """As it came."""
    modern: bool
    """Whether the newest era's rules hold."""

    def __repr__(self) -> str:
        return f"Question({self.permit!r})"

    @property
    def headers(self) -> Headers:
        """Of the HTTP request."""
        return self.incoming.headers

    @property
    def channel(self) -> Channel:
        """The way back to who asks."""
        return self.incoming.channel

    @property
    def log_level(self) -> str | None:
        """The least severe log messages that the client wants; None: none at all."""
        if isinstance(self.rules, Modern):
            return self.rules.log_level
        return self.rules.state.heard_level if isinstance(self.rules, Within) else None

    @property
    def said_log_level(self) -> str | None:
        """The same as far as the client has said it."""
        return self.rules.state.log_level if isinstance(self.rules, Within) else self.log_level

    @property
    def asked_log_level(self) -> str | None:
        """The level that a server of the newest era is asked for on behalf of a legacy client; None: none, or the request says it."""
        # Until their clients say so, older servers send what they hold for useful.
        return (self.rules.state.log_level or "info") if isinstance(self.rules, Within) else None


def take(question: Question, message: Message) -> None:
    """Take a message that wants no answer."""
    if not isinstance(question.rules, Within):
        return
    if isinstance(message, Response):
        question.rules.state.answered(message)
    elif (request_id := cancelled_id(message)) is not None:
        question.rules.state.cancel(request_id)
    elif isinstance(message, Notification):
        question.rules.state.heard(message)
