"""Which answer of the API server becomes which error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfinger_cluster.errors import (
    MESSAGE_LIMIT,
    ClusterError,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    Unreachable,
    refusal,
    stream_refusal,
)
from wharfinger_cluster.resource import CONFIG_MAP, SECRET


def status(message: str, reason: str = "") -> bytes:
    return f'{{"kind":"Status","apiVersion":"v1","status":"Failure","message":"{message}","reason":"{reason}"}}'.encode()


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (400, "unknown field", Invalid),
        (401, "Unauthorized", Forbidden),
        (403, "is forbidden", Forbidden),
        (404, "not found", NotFound),
        (405, "method not allowed", Invalid),
        (408, "timeout", Unreachable),
        (409, "modified", Conflict),
        (410, "too old resource version", Gone),
        (413, "too large", Invalid),
        (415, "unsupported", Invalid),
        (422, "is invalid", Invalid),
        (429, "too many requests", Unreachable),
        (302, "moved", Unreachable),
        (500, "etcdserver: request timed out", Unreachable),
        (500, "failed to create typed patch object (/c1; /v1, Kind=ConfigMap): .dat: field not declared in schema", Invalid),
        (500, "failed to convert new object (/s1; /v1, Kind=ConfigMap) to proper version: unable to convert", Invalid),
        (503, "apiserver not ready", Unreachable),
        (504, "Too large resource version", Unreachable),
    ],
)
def test_a_status_becomes_the_error_that_says_what_to_do(code: int, message: str, kind: type[ClusterError]) -> None:
    error = refusal("apply configmaps team-a/x", CONFIG_MAP, code, status(message, "Reason"), {})
    assert type(error) is kind
    assert str(error) == f"apply configmaps team-a/x: {code} Reason: {message}"
    assert (error.status, error.reason) == (code, "Reason")


@pytest.mark.parametrize(("header", "seconds"), [("", None), ("3", 3.0), ("99999", 600.0), ("-1", None), ("Wed, 21 Oct 2026", None)])
def test_retry_after_is_read_and_bounded(header: str, seconds: float | None) -> None:
    error = refusal("list configmaps", CONFIG_MAP, 429, b"", {"Retry-After": header})
    assert isinstance(error, Unreachable)
    assert error.retry_after == seconds


@pytest.mark.parametrize("code", [400, 422, 500])
def test_words_about_a_secret_that_can_quote_it_are_withheld(code: int) -> None:
    words = status("failed to create typed patch object (/s; /v1, Kind=Secret): .stringData.k: got {Value:planted}")
    error = refusal("apply secrets team-a/s", SECRET, code, words, {})
    assert "planted" not in repr(error)
    assert "withheld" in str(error)
    assert "planted" in str(refusal("apply configmaps team-a/s", CONFIG_MAP, code, words, {}))


def test_words_about_a_secret_that_cannot_quote_it_are_kept() -> None:
    error = refusal("get secrets team-a/s", SECRET, 403, status("secrets is forbidden: User cannot get"), {})
    assert str(error).endswith("User cannot get")


def test_an_error_event_becomes_the_error_of_its_code() -> None:
    assert isinstance(stream_refusal("watch", CONFIG_MAP, {"kind": "Status", "code": 410, "reason": "Expired"}), Gone)
    assert isinstance(stream_refusal("watch", CONFIG_MAP, {"kind": "Status", "code": "nonsense"}), Unreachable)


@given(st.integers(300, 599), st.binary(max_size=4000))
def test_any_body_becomes_an_error(code: int, body: bytes) -> None:
    assert isinstance(refusal("get configmaps", CONFIG_MAP, code, body, {}), ClusterError)


@pytest.mark.parametrize("body", [status("x" * 10_000), b"x" * 10_000])
def test_a_message_is_of_bounded_length(body: bytes) -> None:
    assert len(str(refusal("get configmaps", CONFIG_MAP, 400, body, {}))) == MESSAGE_LIMIT
