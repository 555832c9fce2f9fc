"""What servers may ask of a caller while they work on his call: elicitation, sampling, roots. Pure.

The older revisions ask by a request of their own and get a response; 2026-07-28 answers the call with `input_required`, and the client
calls again with `inputResponses`. Source: MCP 2025-11-25, client features; 2026-07-28, "Multi Round-Trip Requests".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw

from wharfinger_gateway.question import Question, Rules, Within
from wharfinger_gateway.session import Session
from wharfinger_gateway.snapshot import EMPTY
from wharfinger_mcp import jsonrpc
from wharfinger_mcp.jsonrpc import ErrorObject, Params, Request, Response
from wharfinger_mcp.revision import Modern

NEEDS: Final[Mapping[str, str]] = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}
"""By method, the capability with which a client says that it answers."""
INPUT_REQUIRED: Final = "input_required"
_MODES: Final = frozenset({"form", "url"})
MAX_QUESTIONS: Final = 16
"""At once, of one call."""
_NO_ANSWER: Final = ErrorObject(jsonrpc.INVALID_PARAMS, "the caller's answer is no object")
_NO_MODE: Final = ErrorObject(jsonrpc.INVALID_PARAMS, "the caller cannot be asked in this mode")
_DECLINED: Final = ErrorObject(jsonrpc.METHOD_NOT_FOUND, "the caller cannot be asked for that")


class Asking(msgspec.Struct, frozen=True):
    """What a caller can be asked, and whose answers they are."""

    key: str = ""
    """Tells apart sessions with servers that must not be shared; empty where nothing can be asked, and they may be."""
    is_shared: bool = False
    """Several clients of the caller have the same, since they have no sessions of their own."""
    capabilities: Mapping[str, Raw] = EMPTY

    def numbered(self, number: int) -> str:
        """Return the key of one of the sessions that clients share."""
        return f"{self.key} {number}"


class InputRequest(msgspec.Struct, frozen=True):
    """One thing that a server of the newest era wants to know."""

    method: str
    params: dict[str, Raw] = {}


class InputRequired(msgspec.Struct, frozen=True, rename="camel"):
    """The result of a call that cannot go on without the caller."""

    result_type: str = ""
    input_requests: dict[str, InputRequest] = {}
    request_state: str | None = None


class _Missing(msgspec.Struct, rename="camel"):
    required_capabilities: dict[str, Raw] = {}


_CAPABILITY: Final = re.compile(r"[A-Za-z0-9_./-]{1,64}")
_missing = msgspec.json.Decoder(_Missing)
_input_required = msgspec.json.Decoder(InputRequired)
_answers = msgspec.json.Decoder(dict[str, Raw])


def asking(question: Question) -> Asking:
    """Return what the caller of a question can be asked."""
    return asking_by(question.rules)


_NOBODY: Final = Asking()


def asking_by(rules: Rules) -> Asking:
    """Return what a caller under these rules can be asked."""
    match rules:
        case Modern(capabilities=declared) if declared:
            # A client without a session does not tell that its roots have changed.
            found = _asked_for(declared, {"roots": jsonrpc.raw_json({})})
            return Asking(f"modern {_digest(found)}", True, found) if found else _NOBODY
        case Within(session=session, state=state) if state.capabilities:
            found = _asked_for(state.capabilities)
            return Asking(legacy_key(session), False, found) if found else _NOBODY
        case _:
            return _NOBODY


def listening_by(rules: Rules) -> Asking:
    """Return the same for who only listens: of sessions that are shared always the first, whatever calls are under way there."""
    found = asking_by(rules)
    return msgspec.structs.replace(found, key=found.numbered(0), is_shared=False) if found.is_shared else found


def legacy_key(session: Session) -> str:
    """Return the key of what a legacy client is asked in its session."""
    return f"legacy {session.nonce}"


def is_allowed(request: Request | InputRequest, capabilities: Mapping[str, Raw]) -> bool:
    """Tell whether a caller with these capabilities may be asked that (2025-11-25, elicitation, "Capabilities")."""
    name = NEEDS.get(request.method, "")
    if name != "elicitation" or name not in capabilities:
        return name in capabilities
    declared = jsonrpc.members(capabilities[name]) or {}
    # Before there were modes there were forms only.
    modes = _MODES & declared.keys() or {"form"}
    return (jsonrpc.text_member(request.params, "mode") or "form") in modes


def declined(request: Request, capabilities: Mapping[str, Raw] = EMPTY) -> Response:
    """Return the answer to what a caller with these capabilities cannot be asked; a ping is no question."""
    if request.method == "ping":
        return Response(request.id, {})
    is_of_another_mode = NEEDS.get(request.method) in capabilities and not is_allowed(request, capabilities)
    return Response(request.id, error=_NO_MODE if is_of_another_mode else _DECLINED)


def answered(request: Request, answer: Raw) -> Response:
    """Return a modern client's answer as the response to a legacy server's question; one that is no object is an error."""
    members = jsonrpc.members(answer)
    return Response(request.id, error=_NO_ANSWER) if members is None else Response(request.id, members)


def requires_input(response: Response) -> InputRequired | None:
    """Return what a response asks for; None where it is an answer, or asks for nothing that can be read."""
    if response.result is None or jsonrpc.text_member(response.result, "resultType") != INPUT_REQUIRED:
        return None
    try:
        return _input_required.decode(jsonrpc.raw_json(response.result))
    except (msgspec.DecodeError, RecursionError):
        return None


def missing_capabilities(error: ErrorObject) -> tuple[str, ...] | None:
    """Return the capabilities that a modern server misses in a call which it did not take; None where the error says something else."""
    if error.code != jsonrpc.MISSING_CLIENT_CAPABILITY:
        return None
    try:
        wanted = _missing.decode(b"" if error.data is msgspec.UNSET else error.data).required_capabilities
    except (msgspec.DecodeError, RecursionError):
        return ()
    return tuple(sorted(name for name in wanted if _CAPABILITY.fullmatch(name)))[:MAX_QUESTIONS]


def input_required(requests: Mapping[str, Request | InputRequest], state: str) -> Params:
    """Return the result that asks a modern client, who sends `state` back with his answers."""
    wanted = {key: {"method": one.method, "params": one.params} for key, one in requests.items()}
    result = {"resultType": INPUT_REQUIRED, "inputRequests": wanted, "requestState": state}
    return {name: jsonrpc.raw_json(value) for name, value in result.items()}


def read_answers(params: Params) -> Mapping[str, Raw]:
    """Return what a modern client answers, by key."""
    try:
        return _answers.decode(params.get("inputResponses", b"{}"))
    except (msgspec.DecodeError, RecursionError):
        return {}


def with_answers(params: Params, answers: Mapping[str, Raw], state: str | None) -> Params:
    """Return the params of a call that goes on, for a modern server."""
    told: dict[str, Any] = {**params, "inputResponses": jsonrpc.raw_json(answers)}
    return told if state is None else {**told, "requestState": jsonrpc.raw_json(state)}


def call_digest(method: str, params: Params) -> str:
    """Return a digest of what is asked for with which arguments, however they are written."""
    value = {name: msgspec.json.decode(params[name]) for name in ("name", "uri", "arguments") if name in params}
    return hashlib.sha256(msgspec.json.encode([method, value], order="deterministic")).hexdigest()[:32]


def _asked_for(declared: Mapping[str, Raw], instead: Mapping[str, Raw] = EMPTY) -> Mapping[str, Raw]:
    return {name: instead.get(name, declared[name]) for name in NEEDS.values() if name in declared}


def _digest(capabilities: Mapping[str, Raw]) -> str:
    return hashlib.sha256(repr(sorted((name, bytes(raw)) for name, raw in capabilities.items())).encode()).hexdigest()[:16]
