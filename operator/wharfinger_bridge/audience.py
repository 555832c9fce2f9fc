"""Who hears what a server says beside its answers, and who is asked what it wants to know.

- Of a server for everybody, only that a list changed goes on: nothing else tells whose call it is about.
- Of a server of one caller everything does, to that caller: on the stream of the call that began last, else on the one that is open for
  what belongs to no call. Where neither is there, nobody hears it, and a question is declined at once.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final, Protocol

from wharfinger_bridge.jsonrpc import Json, RequestId
from wharfinger_bridge.said import Said

MOST_QUESTIONS: Final = 16
"""Without an answer, at once."""

_CANCELLED = "notifications/cancelled"
_UPDATED = "notifications/resources/updated"


class Audience(Protocol):
    """Whom a server may tell and ask."""

    is_one: bool
    """Whether all of a server's calls are one caller's."""

    def heard_by(self, said: Said) -> AbstractContextManager[None]:
        """Have what belongs to no call, and is for one caller alone, go there; the stream that was opened last counts."""

    def tell(self, message: Json, calls: Sequence[Said]) -> None:
        """Take a notification; `calls` are streams of calls under way, by when they began."""

    def ask(self, id_: RequestId, message: Json, calls: Sequence[Said]) -> bool:
        """Tell whether somebody is asked."""

    def has_answered(self, id_: RequestId) -> bool:
        """Tell whether an answer is one that is waited for; no longer."""

    def leave(self) -> None:
        """End: the server is gone."""


class Everybody:
    """All callers of a server that they share; `publish` takes the method of a notification."""

    is_one = False

    def __init__(self, publish: Callable[[str], None]) -> None:
        self._publish = publish

    def heard_by(self, said: Said) -> AbstractContextManager[None]:
        """See Audience."""
        return nullcontext()

    def tell(self, message: Json, calls: Sequence[Said]) -> None:
        """See Audience."""
        self._publish(message["method"])

    def ask(self, id_: RequestId, message: Json, calls: Sequence[Said]) -> bool:
        """See Audience."""
        return False

    def has_answered(self, id_: RequestId) -> bool:
        """See Audience."""
        return False

    def leave(self) -> None:
        """See Audience. The streams stay for the next server."""


class OneCaller:
    """The caller whose session a server is; `publish` takes the method of a notification."""

    is_one = True

    def __init__(self, publish: Callable[[str], None]) -> None:
        self._publish = publish
        self._outlet: Said | None = None
        self._asked: set[RequestId] = set()

    @contextmanager
    def heard_by(self, said: Said) -> Iterator[None]:
        """See Audience."""
        self._outlet = said
        try:
            yield
        finally:
            if self._outlet is said:
                self._outlet = None

    def tell(self, message: Json, calls: Sequence[Said]) -> None:
        """See Audience. Changes of lists are published alone: every stream for what belongs to no call has them already."""
        method = message["method"]
        if method.endswith("/list_changed"):
            self._publish(method)
            return
        if method == _CANCELLED and not self._withdraws(message):
            return
        said = self._outlet if method == _UPDATED else self._where(calls)
        if said is not None:
            said.add(message)

    def ask(self, id_: RequestId, message: Json, calls: Sequence[Said]) -> bool:
        """See Audience."""
        said = self._where(calls)
        if said is None or len(self._asked) >= MOST_QUESTIONS:
            return False
        self._asked.add(id_)
        said.add(message)
        return True

    def has_answered(self, id_: RequestId) -> bool:
        """See Audience."""
        was_asked = id_ in self._asked
        self._asked.discard(id_)
        return was_asked

    def leave(self) -> None:
        """See Audience."""
        if self._outlet is not None:
            self._outlet.close()

    def _where(self, calls: Sequence[Said]) -> Said | None:
        return calls[-1] if calls else self._outlet

    def _withdraws(self, message: Json) -> bool:
        params = message.get("params")
        id_ = params.get("requestId") if isinstance(params, dict) else None
        return isinstance(id_, int | str) and self.has_answered(id_)
