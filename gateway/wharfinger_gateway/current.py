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

    def publish(self, snapshot: Snapshot) -> bool:
        """Put a snapshot in force; tell whether it differs from the one that was."""
        if snapshot == self.snapshot:
            return False
        self.snapshot = snapshot
        self.on_change()
        return True

    def publish_tokens(self, tokens: Tokens) -> None:
        """Put tokens in force."""
        if tokens != self.tokens:
            self.tokens = tokens
            self.on_change()
