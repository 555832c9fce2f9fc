"""What a replica keeps of legacy sessions, and for how long."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest

from wharfinger_gateway import sessions
from wharfinger_gateway.authorize import Permit
from wharfinger_gateway.session import Session
from wharfinger_gateway.sessions import IDLE_SECONDS, Sessions


class Stream:
    def __init__(self) -> None:
        self.ended = False
        self.on_look: list[Callable[[Permit], None]] = []

    def look(self) -> None:
        raise AssertionError("nothing to tell")

    def say(self, message: bytes) -> None:
        raise AssertionError("nothing is said")

    def end(self) -> None:
        self.ended = True


@dataclass
class Subscribed:
    """A resource that somebody is told of."""

    end: Callable[[], None]

    def look(self, permit: object) -> None:
        raise AssertionError("nobody looks")


def session(nonce: str, *, bound: bool = False, replica: str = "") -> Session:
    return Session("dev.tools", "digest", "2025-11-25", 0, nonce, replica, bound)


def test_sessions_that_nobody_uses_are_forgotten_and_those_under_way_are_not() -> None:
    kept = Sessions()
    ended: list[str] = []
    for nonce in ("idle", "calling", "listening", "fresh"):
        state = kept.begin(session(nonce), {}, IDLE_SECONDS + 1 if nonce == "fresh" else 0.0)
        state.subscriptions["a://b"] = Subscribed(partial(ended.append, nonce))
    kept.of(session("calling"), 0.0).calls[1] = lambda: ended.append("cancelled")
    kept.of(session("listening"), 0.0).listen(Stream())
    kept.sweep(IDLE_SECONDS + 1)
    assert (len(kept), ended) == (3, ["idle"])


def test_of_too_many_the_idle_one_unused_longest_makes_room_and_one_in_use_only_where_all_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 2)
    kept, stream = Sessions(), Stream()
    kept.begin(session("listening", bound=True), {}, 0.0).listen(stream)
    kept.begin(session("idle", bound=True), {}, 1.0)
    kept.begin(session("newest", bound=True), {}, 2.0).listen(Stream())
    assert [kept.is_lost(session(nonce, bound=True)) for nonce in ("listening", "idle", "newest")] == [False, True, False]
    assert not stream.ended
    kept.begin(session("last", bound=True), {}, 3.0)
    assert stream.ended
    assert [kept.is_lost(session(nonce, bound=True)) for nonce in ("listening", "newest", "last")] == [True, False, False]


def test_a_session_is_lost_where_it_was_begun_and_is_not_known_or_where_it_has_ended() -> None:
    kept = Sessions("here/1")
    for bound, replica, lost in ((True, "here/1", True), (False, "here/1", False), (True, "there/2", False)):
        assert kept.is_lost(session("x", bound=bound, replica=replica)) == lost
    kept.begin(session("x", replica="here/1"), {}, 0.0)
    kept.end(session("x", replica="here/1"))
    assert kept.is_lost(session("x", replica="here/1"))


def test_the_stream_that_ends_is_forgotten_unless_another_took_its_place() -> None:
    state = Sessions().begin(session("x"), {}, 0.0)
    first, second = Stream(), Stream()
    state.listen(first)
    state.listen(second)
    state.left(first)
    assert (first.ended, state.stream) == (True, second)
    state.left(second)
    assert not state.is_in_use
