"""Requests as another user, by an administrator: RBAC and admission see that user."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.connection import Login


def login_as(admin: Login, user: str) -> Login:
    """Return a login whose requests are judged as those of a user."""
    return replace(admin, headers=(("Impersonate-User", user),))


@asynccontextmanager
async def as_user(admin: Login, user: str) -> AsyncIterator[Cluster]:
    """Open a client that acts as a user."""
    async with Cluster(login_as(admin, user), manager=user) as client:
        yield client
