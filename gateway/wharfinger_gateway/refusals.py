"""Every way to say no, one row each: HTTP status, JSON-RPC code, form and words.

Invariants: rows that must look alike to a caller share one `_Row`, so the bytes cannot differ; the reason tells them apart in metrics
only. What happens after the tool was found is said as a tool result with `isError`, because clients show that to the model, which can
then tell the person what to do (a JSON-RPC error ends in the client's log; MCP 2025-11-25, "tools: error handling"). Everything before
is a JSON-RPC error. No message repeats a credential or a server's own words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from wharfinger_mcp.jsonrpc import Id
from wharfinger_mcp.revision import Rejection


class Reason(StrEnum):
    """Why; the value of the metrics' `reason` label."""

    TOKEN_MISSING = "token_missing"  # noqa: S105 - a reason
    TOKEN_MALFORMED = "token_malformed"  # noqa: S105 - a reason
    TOKEN_UNKNOWN = "token_unknown"  # noqa: S105 - a reason
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a reason
    TOKEN_DISABLED = "token_disabled"  # noqa: S105 - a reason
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - a reason
    TOKEN_UNVERIFIED = "token_unverified"  # noqa: S105 - a reason
    TOKEN_UNVERIFIABLE = "token_unverifiable"  # noqa: S105 - a reason
    ORIGIN_FORBIDDEN = "origin_forbidden"
    HOST_FORBIDDEN = "host_forbidden"
    PATH_UNKNOWN = "path_unknown"
    GATEWAY_UNKNOWN = "gateway_unknown"
    GATEWAY_HIDDEN = "gateway_hidden"
    TOKEN_OF_ANOTHER_GATEWAY = "token_of_another_gateway"  # noqa: S105 - a reason
    DOOR_CLOSED = "door_closed"
    VERB_UNKNOWN = "verb_unknown"
    STREAM_NOT_ACCEPTED = "stream_not_accepted"
    RATE_EXCEEDED = "rate_exceeded"
    CALLS_EXCEEDED = "calls_exceeded"
    TOO_LARGE = "too_large"
    BODY_INCOMPLETE = "body_incomplete"
    HEADER_UNUSABLE = "header_unusable"
    SESSION_MISSING = "session_missing"
    SESSION_UNKNOWN = "session_unknown"
    PROTOCOL = "protocol"
    METHOD_UNKNOWN = "method_unknown"
    PARAMS_INVALID = "params_invalid"
    TOOL_UNKNOWN = "tool_unknown"
    PROMPT_UNKNOWN = "prompt_unknown"
    RESOURCE_UNKNOWN = "resource_unknown"
    INSTALLATION_MISSING = "installation_missing"
    INSTALLATION_NEEDED = "installation_needed"
    SUBJECT_NEEDED = "subject_needed"
    INSTALLATION_SUSPENDED = "installation_suspended"
    EGRESS_REFUSED = "egress_refused"
    UPSTREAM_UNREACHABLE = "upstream_unreachable"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    UPSTREAM_REFUSED = "upstream_refused"
    UPSTREAM_FAILED = "upstream_failed"
    UPSTREAM_BUSY = "upstream_busy"
    UPSTREAM_ASKS = "upstream_asks"
    UPSTREAM_LINKS = "upstream_links"
    UPSTREAM_NEEDS = "upstream_needs"
    UPSTREAM_HEADERS = "upstream_headers"
    STATE_INVALID = "state_invalid"
    QUESTION_EXPIRED = "question_expired"
    QUESTIONS_EXCEEDED = "questions_exceeded"
    CANCELLED = "cancelled"
    ID_IN_USE = "id_in_use"
    REPLICA_LOST = "replica_lost"
    REPLICA_LEAVING = "replica_leaving"
    SESSION_BUSY = "session_busy"
    STREAMS_EXCEEDED = "streams_exceeded"
    STREAMS_EXHAUSTED = "streams_exhausted"
    NOT_READY = "not_ready"
    INTERNAL = "internal"


Form = Literal["http", "error", "result"]
"""`http`: the whole request is refused. `error`: a JSON-RPC error for its id. `result`: a tool result with `isError`."""


@dataclass(frozen=True, slots=True)
class _Row:
    form: Form
    status: int
    """HTTP status; for `error` that of the 2026-07-28 revision, older ones say 200."""
    code: int
    message: str
    retry_after: int | None = None
    """Seconds after which it may be tried again, where nothing else says them."""


_UNAUTHORIZED: Final = _Row("http", 401, -32001, "Unauthorized: send a valid token as Authorization: Bearer")
_FORBIDDEN: Final = _Row("http", 403, -32003, "Forbidden: Origin or Host is not this gateway's")
_NOT_FOUND: Final = _Row("http", 404, -32004, "Not found")

_TABLE: Final[Mapping[Reason, _Row]] = {
    Reason.TOKEN_MISSING: _UNAUTHORIZED,
    Reason.TOKEN_MALFORMED: _UNAUTHORIZED,
    Reason.TOKEN_UNKNOWN: _UNAUTHORIZED,
    Reason.TOKEN_EXPIRED: _UNAUTHORIZED,
    Reason.TOKEN_DISABLED: _UNAUTHORIZED,
    Reason.TOKEN_REVOKED: _UNAUTHORIZED,
    Reason.TOKEN_UNVERIFIED: _UNAUTHORIZED,
    Reason.TOKEN_UNVERIFIABLE: _Row("http", 503, -32015, "Who you are cannot be looked up now: try again", retry_after=2),
    Reason.ORIGIN_FORBIDDEN: _FORBIDDEN,
    Reason.HOST_FORBIDDEN: _FORBIDDEN,
    Reason.PATH_UNKNOWN: _NOT_FOUND,
    Reason.GATEWAY_UNKNOWN: _NOT_FOUND,
    Reason.GATEWAY_HIDDEN: _NOT_FOUND,
    Reason.TOKEN_OF_ANOTHER_GATEWAY: _NOT_FOUND,
    Reason.DOOR_CLOSED: _NOT_FOUND,
    Reason.VERB_UNKNOWN: _Row("http", 405, -32005, "Method not allowed: use POST"),
    Reason.STREAM_NOT_ACCEPTED: _Row("http", 406, -32006, "Not acceptable: a GET needs Accept: text/event-stream"),
    Reason.RATE_EXCEEDED: _Row("http", 429, -32010, "Too many requests: this gateway lets you send", retry_after=1),
    Reason.CALLS_EXCEEDED: _Row("http", 429, -32011, "Too many calls: this gateway carries out for you", retry_after=1),
    Reason.TOO_LARGE: _Row("http", 413, -32008, "The request is larger than this gateway allows"),
    Reason.BODY_INCOMPLETE: _Row("http", 400, -32700, "The request's body did not arrive whole"),
    Reason.HEADER_UNUSABLE: _Row("http", 400, -32600, "A header that this gateway passes on cannot be:"),
    Reason.SESSION_MISSING: _Row("http", 400, -32000, "Bad request: Mcp-Session-Id is required; send initialize first"),
    Reason.SESSION_UNKNOWN: _Row("http", 404, -32001, "Session not found: send initialize again"),
    Reason.PROTOCOL: _Row("error", 400, -32600, "Invalid request"),
    Reason.METHOD_UNKNOWN: _Row("error", 404, -32601, "Method not found"),
    Reason.PARAMS_INVALID: _Row("error", 400, -32602, "Invalid params"),
    Reason.TOOL_UNKNOWN: _Row("error", 400, -32602, "Unknown tool"),
    Reason.PROMPT_UNKNOWN: _Row("error", 400, -32602, "Unknown prompt"),
    Reason.RESOURCE_UNKNOWN: _Row("error", 400, -32602, "Resource not found"),
    Reason.INSTALLATION_MISSING: _Row("result", 200, 0, "No connection to this tool's server is available to you."),
    Reason.INSTALLATION_NEEDED: _Row("result", 200, 0, "You have no connection to this tool's server yet. Open this link to install it:"),
    Reason.SUBJECT_NEEDED: _Row(
        "result", 200, 0, "This tool uses the caller's own connection, so the organization's token cannot call it: use a user's or a team's token."
    ),
    Reason.INSTALLATION_SUSPENDED: _Row("result", 200, 0, "The connection to this tool's server is suspended; its owner can resume it."),
    Reason.EGRESS_REFUSED: _Row("result", 200, 0, "Egress rules do not let the tool's server be reached. The call was not carried out:"),
    Reason.UPSTREAM_UNREACHABLE: _Row("result", 200, 0, "The tool's server cannot be reached. The call was not carried out."),
    Reason.UPSTREAM_TIMEOUT: _Row("result", 200, 0, "The tool's server did not answer in time. The call may have been carried out."),
    Reason.UPSTREAM_REFUSED: _Row("result", 200, 0, "The tool's server refused the connection's credential."),
    Reason.UPSTREAM_FAILED: _Row("result", 200, 0, "The tool's server broke off or gave no valid answer. The call may have been carried out."),
    Reason.UPSTREAM_BUSY: _Row("result", 200, 0, "Too many calls to the tool's server are under way. The call was not carried out; try again."),
    Reason.UPSTREAM_ASKS: _Row("result", 200, 0, "The tool's server asks for further input, which this gateway does not pass on."),
    Reason.UPSTREAM_LINKS: _Row("result", 200, 0, "The tool's server wants a page to be opened before the tool is called again"),
    Reason.UPSTREAM_NEEDS: _Row(
        "result", 200, 0, "The tool's server needs what your client does not offer, or this gateway does not pass on. The call was not carried out:"
    ),
    Reason.UPSTREAM_HEADERS: _Row("result", 200, 0, "The tool's server does not take the headers of this call. The call was not carried out."),
    Reason.STATE_INVALID: _Row("error", 400, -32602, "Invalid params: requestState is none of this call's, or too old"),
    Reason.QUESTION_EXPIRED: _Row("result", 200, 0, "The tool's server waits for this answer no longer. Call the tool again."),
    Reason.QUESTIONS_EXCEEDED: _Row(
        "result", 200, 0, "The tool's server asks for further input, and too many calls of yours wait for that already. The call was ended."
    ),
    Reason.CANCELLED: _Row("result", 200, 0, "The call was cancelled. It may have been carried out."),
    Reason.ID_IN_USE: _Row("error", 400, -32600, "Invalid request: a request with this id is under way in the session"),
    Reason.REPLICA_LOST: _Row("http", 502, -32014, "The replica that held this broke off; what was sent may have been carried out. Try again"),
    # To other replicas only, and the one with its status (RFC 9110 section 15.5.20).
    Reason.REPLICA_LEAVING: _Row("http", 421, -32015, "This replica of the gateway takes no new requests"),
    Reason.SESSION_BUSY: _Row("http", 429, -32012, "Too many requests are under way in the session", retry_after=1),
    Reason.STREAMS_EXCEEDED: _Row("http", 429, -32016, "Too many of your streams are open: close some, and try again", retry_after=30),
    Reason.STREAMS_EXHAUSTED: _Row("http", 503, -32013, "Too many streams are open: try again later", retry_after=30),
    Reason.NOT_READY: _Row("http", 503, -32009, "The gateway is starting"),
    Reason.INTERNAL: _Row("http", 500, -32603, "Internal error"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Refusal:
    """A no. The words are the table's unless the row is about a detail of the request itself."""

    reason: Reason
    detail: str = ""
    """What is added to the row's message: a link, a limit, a name that the caller sent, a header of his, the environment and what its rules lack."""
    rejection: Rejection | None = None
    """The protocol rule that was broken, in its own words and with its own codes (PROTOCOL only)."""
    request_id: Id | None = None
    """The request that it answers, where that could be read."""
    wait: int = 0
    """Seconds after which it may be tried again; 0: the row's."""
    caller: str = ""
    """Whom a gateway was refused to, for the audit record; empty where nobody is known, or nothing was decided about him."""
    credential: str = ""
    """What he showed, in the audit record's words."""

    @classmethod
    def of(cls, rejection: Rejection, request_id: Id | None = None) -> Refusal:
        """Return the refusal for a broken rule of the protocol."""
        return cls(Reason.PROTOCOL, rejection=rejection, request_id=request_id)

    @property
    def form(self) -> Form:
        """How it is said."""
        return _TABLE[self.reason].form

    @property
    def status(self) -> int:
        """The HTTP status (of the newest revision)."""
        return self.rejection.status if self.rejection else _TABLE[self.reason].status

    @property
    def code(self) -> int:
        """The JSON-RPC code."""
        return self.rejection.code if self.rejection else _TABLE[self.reason].code

    @property
    def message(self) -> str:
        """What the caller reads."""
        base = self.rejection.message if self.rejection else _TABLE[self.reason].message
        return f"{base} {self.detail}" if self.detail else base

    @property
    def retry_after(self) -> int | None:
        """Seconds after which it may be tried again; None where nothing is known of that."""
        return self.wait or _TABLE[self.reason].retry_after

    @property
    def data(self) -> Mapping[str, object] | None:
        """`error.data`."""
        return self.rejection.data if self.rejection else None
