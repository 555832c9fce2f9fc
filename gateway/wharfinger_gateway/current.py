"""What is in force now. A request reads it once; the watch replaces it."""

from __future__ import annotations

from collections.abc import Callable

from wharfinger_gateway.known_bearers import AskedBearers, NoBearers
from wharfinger_gateway.snapshot import EMPTY, Snapshot, Tokens


class Current:
    """The snapshot and the tokens in force."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        """None until the cluster has been read once."""
        self.tokens: Tokens = EMPTY
        self.bearers: AskedBearers = NoBearers()
        """What is known of bearer tokens that are no McpTokens."""
        self.root_key: bytes | None = None
        """What seals and keys are derived from; None until it has been read."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when anything new is in force."""
        self.force: object = object()
        """Stands for all that is in force: another one as soon as anything of it is another, or whether a credential counts."""

    def publish(self, snapshot: Snapshot) -> bool:
        """Put a snapshot in force; tell whether it differs from the one that was."""
        if snapshot == self.snapshot:
            return False
        self.snapshot = snapshot
        self.changed()
        self.on_change()
        return True

    def publish_tokens(self, tokens: Tokens) -> None:
        """Put tokens in force."""
        if tokens != self.tokens:
            self.tokens = tokens
            self.changed()
            self.on_change()

    def changed(self) -> None:
        """Let nothing be believed any more that was concluded from what was in force."""
        self.force = object()
