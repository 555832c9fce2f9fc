"""What can go wrong between us and the API server, ordered by what the caller can do about it.

    ClusterError
    ├── Unreachable    wait and ask again: network, timeouts, 5xx, 429 (`retry_after` says how long)
    ├── Conflict       read again, decide again: 409
    ├── NotFound       it is not there, or its kind is not served: 404
    ├── Gone           list again: 410, the resource version is too old
    ├── Forbidden      somebody must grant it: 401, 403
    ├── Invalid        the same request will never do: 400, 422, every other 4xx, and server-side apply's 500 for a bad body
    ├── LoginError     there is no usable way to the API server: the configuration must be mended
    └── LeaseLost      stop acting: this process is not the leader any more

Invariants: foreign exceptions become one of these where they arise, and nowhere else. A message holds verb, object, status, reason and the
API server's words, at most `MESSAGE_LIMIT` characters, and never a Secret's value: about a Secret the API server's words are withheld
where they can quote the body, as in `.stringData.k: expected string, got &value.valueUnstructured{Value:12345678}`.
"""

# ruff: noqa: N818 - Conflict, NotFound, Gone are the API's own words (metav1.StatusReason)

from collections.abc import Mapping

import msgspec

from wharfinger_cluster.resource import SECRET, Object, Resource

MESSAGE_LIMIT = 2000
RETRY_AFTER_LIMIT = 600.0
_TYPED_PATCH_FAULTS = ("failed to create typed patch object", "failed to convert new object", "field not declared in schema")


class ClusterError(Exception):
    """A request to the API server that did not do what was asked."""

    def __init__(self, message: str, *, status: int = 0, reason: str = "") -> None:
        super().__init__(message[:MESSAGE_LIMIT])
        self.status = status
        """The HTTP status; 0 when there was no answer."""
        self.reason = reason
        """The machine-readable metav1.StatusReason, such as `AlreadyExists`; empty when there is none."""


class Unreachable(ClusterError):
    """The API server did not answer, or said that it cannot now."""

    def __init__(self, message: str, *, status: int = 0, reason: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, status=status, reason=reason)
        self.retry_after = retry_after
        """Seconds the API server asked us to wait, if it did."""


class Conflict(ClusterError):
    """The object changed meanwhile, exists already, or a field is owned by another manager."""


class NotFound(ClusterError):
    """The object does not exist, or its kind is not served."""


class Gone(ClusterError):
    """The resource version or the continue token is older than the API server's history."""


class Forbidden(ClusterError):
    """The API server does not know us, or does not let us."""


class Invalid(ClusterError):
    """The API server understood and refused: repeating the request is useless."""


class LoginError(ClusterError):
    """No configuration from which to reach the API server; the message says what to set."""


class LeaseLost(ClusterError):
    """The lease is not ours any more, or could not be renewed in time."""


class _Status(msgspec.Struct):
    """The part of metav1.Status that we report."""

    kind: str = ""
    message: str = ""
    reason: str = ""
    code: int = 0


def refusal(what: str, resource: Resource, status: int, body: bytes, headers: Mapping[str, str]) -> ClusterError:
    """Return the error for an HTTP answer outside 2xx; `what` names verb and object."""
    answer = _read(body)
    return _classify(what, resource, status, answer, _retry_after(headers.get("Retry-After", "")))


def stream_refusal(what: str, resource: Resource, status: Object) -> ClusterError:
    """Return the error for the metav1.Status in an ERROR event of a watch."""
    try:
        answer = msgspec.convert(status, _Status)
    except msgspec.ValidationError:
        answer = _Status()
    return _classify(what, resource, answer.code or 500, answer, None)


def _classify(what: str, resource: Resource, status: int, answer: _Status, retry_after: float | None) -> ClusterError:
    kind = _kind_of(status, answer)
    words = answer.message
    if kind is Invalid and resource == SECRET:
        words = "the server's message is withheld, because it can quote the Secret"
    if status == 404 and answer.kind != "Status":
        words = f"the API server does not serve {resource} {resource.version}; is its CustomResourceDefinition installed?"
    message = f"{what}: {status} {answer.reason}".rstrip() + (f": {words}" if words else "")
    if kind is Unreachable:
        return Unreachable(message, status=status, reason=answer.reason, retry_after=retry_after)
    return kind(message, status=status, reason=answer.reason)


def _kind_of(status: int, answer: _Status) -> type[ClusterError]:
    if status == 500 and any(fault in answer.message for fault in _TYPED_PATCH_FAULTS):
        return Invalid
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return Invalid if 400 <= status < 500 else Unreachable


_BY_STATUS: dict[int, type[ClusterError]] = {
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    408: Unreachable,
    409: Conflict,
    410: Gone,
    429: Unreachable,
}


def _read(body: bytes) -> _Status:
    try:
        return msgspec.json.decode(body, type=_Status)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Status(message=body[:MESSAGE_LIMIT].decode(errors="replace").strip())


def _retry_after(header: str) -> float | None:
    return min(float(header), RETRY_AFTER_LIMIT) if header.isascii() and header.isdigit() else None
