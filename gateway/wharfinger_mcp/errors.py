"""What can go wrong between us and a server, ordered by what the caller can do about it.

    UpstreamError
    ├── NotSentError            the server has not seen the request: it may be sent again, here or elsewhere
    │   ├── MisconfiguredError      nothing was tried: the URL, a header or the CA bundle is at fault
    │   ├── BusyError               too many calls to this server are under way
    │   ├── EgressRefusedError      the egress rules let nothing reach it
    │   └── UnreachableError        no connection: name, address, network, TLS
    ├── TimedOutError           sent, and no answer in time: the call may have run
    ├── InterruptedCallError    sent, and the connection ended first: the call may have run
    │   └── CutStreamError          the server named the place where its stream may be taken up again
    ├── RefusedError            an HTTP status that is no success, and no JSON-RPC message with it
    │   └── NotStreamableError      one to `initialize`, as servers of the older HTTP+SSE transport give it
    ├── HeadersRefusedError     a modern server did not take the call, because its headers do not repeat the body as it wants that
    ├── SessionGoneError        the server forgot the session, and a new one did not help or was not tried
    ├── NotMcpError             an answer that is not MCP: a web page, a redirect, another protocol
    └── ProtocolError           MCP, but against its rules or beyond our bounds
        ├── TooLargeError           more than our bounds allow
        └── NotListedError          the server refuses to list

A message is for people: it says what, where and how to mend it. It never holds a header's value, a query string or text
from an answer's body, any of which may be secret.
"""

from __future__ import annotations


class UpstreamError(Exception):
    """A request to a server did not end in a JSON-RPC response."""

    @property
    def message(self) -> str:
        """The sentence for people."""
        return str(self)


class NotSentError(UpstreamError):
    """The server has not seen the request."""


class MisconfiguredError(NotSentError):
    """The URL, a header or the CA bundle cannot be used."""


class BusyError(NotSentError):
    """The bound on calls under way to one server is reached."""


class EgressRefusedError(NotSentError):
    """Egress rules let no connection be made; the message names whose, and what was missing."""


class UnreachableError(NotSentError):
    """No connection could be made."""


class TimedOutError(UpstreamError):
    """The time for the call ran out after it was sent."""


class InterruptedCallError(UpstreamError):
    """The connection ended before the answer was whole."""


class CutStreamError(InterruptedCallError):
    """The stream ended before the response, at a place that it can be taken up from."""

    def __init__(self, message: str, event_id: str, retry_ms: int | None) -> None:
        super().__init__(message)
        self.event_id = event_id
        self.retry_ms = retry_ms
        """How long the server wants to be left alone before."""


class RefusedError(UpstreamError):
    """The server answered with an HTTP status that is no success and with no JSON-RPC message."""

    def __init__(self, status: int, message: str, *, challenge: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.challenge = challenge
        """`WWW-Authenticate` of the answer (RFC 9110 section 11.6.1), where OAuth discovery begins."""


class NotStreamableError(RefusedError):
    """The server refused `initialize` as one of the older HTTP+SSE transport does."""

    def __init__(self, refused: RefusedError) -> None:
        super().__init__(refused.status, refused.message, challenge=refused.challenge)


class HeadersRefusedError(UpstreamError):
    """A modern server refused the call unread: it wants other headers beside the same body."""


class SessionGoneError(UpstreamError):
    """The server no longer knows the session."""


class NotMcpError(UpstreamError):
    """What answered does not speak MCP."""


class ProtocolError(UpstreamError):
    """The server speaks MCP and broke one of its rules, or one of our bounds."""


class TooLargeError(ProtocolError):
    """The server sent, or would send, more than we take."""


class NotListedError(ProtocolError):
    """The server answered a list's method with an error."""

    def __init__(self, method: str, code: int) -> None:
        super().__init__(f"the server refused {method} with error {code}")
        self.code = code


_ADVICE = {
    401: "the server wants authorization",
    403: "the credential was not accepted for this",
    404: "is the path right?",
    405: "are path and transport right?",
    407: "a proxy on the way wants authorization",
    421: "the server does not know itself under this host name",
    429: "the server asks for fewer requests",
}


def refusal(status: int, method: str, path: str, challenge: str | None = None) -> RefusedError:
    """Return the error for an HTTP status, saying what to look at."""
    advice = _ADVICE.get(status)
    if advice is None:
        advice = "the server, or a proxy before it, failed" if status >= 500 else "the server does not take the request"
    return RefusedError(status, f"the server answered HTTP {status} to {method} {path}: {advice}", challenge=challenge)
