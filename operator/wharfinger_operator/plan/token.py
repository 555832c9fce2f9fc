"""The status of a bearer token."""

from __future__ import annotations

from datetime import datetime

from wharfinger_crds import conditions as c
from wharfinger_crds.token import TokenStatus
from wharfinger_operator.world import TokenWorld


def token_status(world: TokenWorld, now: str) -> TokenStatus:
    """Return the status to report: whether a caller with the token is let in."""
    meta = world.token.metadata
    problem = _problem(world)
    # Nothing but a person's change makes such a token count.
    findings = (c.false(c.READY, *problem), c.Finding(c.STALLED, "True", *problem)) if problem else (c.true(c.READY),)
    status = world.token.status
    return TokenStatus(
        observed_generation=meta.generation,
        conditions=c.merged(status.conditions, findings, meta.generation, now),
        # The gateways' own.
        last_used=status.last_used,
    )


def _problem(world: TokenWorld) -> tuple[str, str] | None:
    meta, spec = world.token.metadata, world.token.spec
    if meta.namespace != world.system_namespace:
        return c.NOT_HONOURED, f"tokens count in namespace {world.system_namespace} only: create it there"
    if spec.disabled:
        return c.DISABLED, "spec.disabled is true"
    if spec.expires_at and datetime.fromisoformat(spec.expires_at) <= datetime.fromisoformat(world.now):
        return c.EXPIRED, f"expired at {spec.expires_at}"
    if world.same_hash > 1:
        return c.DUPLICATE, "several tokens have this hash, and none of them counts: delete all but one"
    return None
