"""How the authorization server answers, counted: a flood of wrong credentials is a rise of 400, 401 and 429 at one path."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter

from wharfinger_oauth import paths

_SHOWN: Final = frozenset(
    {
        paths.AUTHORIZE, paths.TOKEN, paths.REGISTER, paths.REVOKE, paths.CONSENT, paths.CONNECTED, paths.LOGIN, paths.CALLBACK,
        paths.DEVELOPMENT,
    }
)  # fmt: skip


class OAuthAnswers:
    """The counter; everything that needs no credential and begins nothing is `other`."""

    def __init__(self) -> None:
        self.counter = Counter(
            "wharfinger_gateway_oauth_answers",
            "Answers of the authorization server, by path and status.",
            ("path", "status"),
            registry=None,
        )

    def count(self, path: str, status: int) -> None:
        """Count an answer."""
        known = paths.ALIASES.get(path, path)
        self.counter.labels(known if known in _SHOWN else "other", status).inc()
