"""Requests as another user, by an administrator: RBAC and admission see that user."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields

import aiohttp

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.connection import Login


@dataclass(frozen=True, kw_only=True)
class Impersonation(Login):
    """A login whose requests are judged as those of `user`."""

    user: str

    def session(self, *, limit: int = 32, outer: tuple[aiohttp.ClientMiddlewareType, ...] = ()) -> aiohttp.ClientSession:
        session = super().session(limit=limit, outer=outer)
        session.headers["Impersonate-User"] = self.user
        return session


@asynccontextmanager
async def as_user(admin: Login, user: str) -> AsyncIterator[Cluster]:
    """Open a client that acts as a user."""
    async with Cluster(Impersonation(user=user, **{f.name: getattr(admin, f.name) for f in fields(Login)}), manager=user) as client:
        yield client
