"""The end of an installation's logs, for those whom Kubernetes lets read it, without its secret values.

    GET /v1/logs/NAMESPACE/NAME?tailLines=100&previous=false        Authorization: Bearer <a token of the cluster>
    identify (TokenReview) ▶ authorize (SubjectAccessReview: get mcpinstallations/log) ▶ gather ▶ read ▶ redact

Any replica answers, since nothing but the API server is asked. A pod that runs with other values than those known is withheld: nobody
knows what would have to be taken out of its log. Sources: authentication.k8s.io/v1 and authorization.k8s.io/v1, API reference.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import ClusterError, Forbidden, Invalid, NotFound
from wharfinger_cluster.resource import SUBJECT_ACCESS_REVIEW, TOKEN_REVIEW, Object
from wharfinger_crds import names
from wharfinger_crds.settings import SettingsError
from wharfinger_operator.gather_logs import Refused, Tail, gather
from wharfinger_operator.redact import redacted

AT_ONCE: Final = 8
SECONDS: Final = 30.0
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
LINES, MOST_LINES = 100, 5000


class LogEndpoint:
    """Answers requests for logs."""

    def __init__(self, cluster: Cluster, system_namespace: str) -> None:
        self._cluster = cluster
        self._system = system_namespace
        self._slots = asyncio.Semaphore(AT_ONCE)

    def application(self) -> web.Application:
        """Return what to serve; in plain HTTP, for a port-forward or a mesh that encrypts."""
        app = web.Application()
        app.router.add_get("/v1/logs/{namespace}/{name}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return _refused(Refused(401, "send a token of this cluster as `Authorization: Bearer`: kubectl create token NAME"))
        tail = _tail(request.query)
        if isinstance(tail, Refused):
            return _refused(tail)
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        if not (_LABEL.fullmatch(namespace) and _LABEL.fullmatch(name)):
            return _refused(Refused(404, "no object has such a name: the path is /v1/logs/NAMESPACE/NAME"))
        if self._slots.locked():
            return _refused(Refused(429, f"{AT_ONCE} requests are being answered: ask again"))
        try:
            async with self._slots, asyncio.timeout(SECONDS):
                return await self._permitted(token, namespace, name, tail)
        except Forbidden as error:
            return _refused(Refused(500, f"the operator lacks a right of its chart: {error}"))
        except SettingsError as error:
            return _refused(Refused(500, f"the platform settings are wrong: {error}"))
        except (ClusterError, TimeoutError):
            return _refused(Refused(503, "the API server did not answer: ask again"))

    async def _permitted(self, token: str, namespace: str, name: str, tail: Tail) -> web.Response:
        user = await self._identify(token)
        if user is None:
            return _refused(Refused(401, "the token is not one of this cluster, or has expired"))
        if not await self._may_read(user, namespace, name):
            who = user.get("username", "you")
            return _refused(
                Refused(403, f"{who} may not get mcpinstallations/log {name} in namespace {namespace}: an administrator binds a role")
            )
        try:
            found = await gather(self._cluster, self._system, namespace, name, tail)
        except NotFound:
            return _refused(Refused(404, f"there is no McpInstallation {name} in namespace {namespace}"))
        if isinstance(found, Refused):
            return _refused(found)
        return web.Response(text=redacted(found.text, found.secrets), headers={"Cache-Control": "no-store"})

    async def _identify(self, token: str) -> Mapping[str, Any] | None:
        """Return the user of a token: one made for us, or one for the API server."""
        for audiences in ([names.GROUP], []):
            try:
                review = await self._review(TOKEN_REVIEW, {"token": token, "audiences": audiences})
            except Invalid:
                return None
            if review.get("authenticated") and (not audiences or audiences[0] in review.get("audiences", [])):
                user: Mapping[str, Any] = review["user"]
                return user
        return None

    async def _may_read(self, user: Mapping[str, Any], namespace: str, name: str) -> bool:
        asked = {
            "group": names.GROUP, "resource": "mcpinstallations", "subresource": "log", "verb": "get", "namespace": namespace, "name": name,
        }  # fmt: skip
        who = {
            "user": user.get("username", ""),
            "uid": user.get("uid", ""),
            "groups": user.get("groups", []),
            "extra": user.get("extra", {}),
        }
        return bool((await self._review(SUBJECT_ACCESS_REVIEW, {**who, "resourceAttributes": asked})).get("allowed"))

    async def _review(self, resource: Any, spec: Object) -> Mapping[str, Any]:
        status: Mapping[str, Any] = (await self._cluster.create(resource, {"metadata": {}, "spec": spec})).get("status", {})
        return status


def _tail(query: Mapping[str, str]) -> Tail | Refused:
    unknown = sorted(set(query) - {"tailLines", "previous"})
    lines, previous = query.get("tailLines", str(LINES)), query.get("previous", "false")
    if unknown:
        return Refused(400, f"unknown parameter {', '.join(unknown)[:100]}: there are tailLines and previous")
    if not (lines.isascii() and lines.isdigit() and 1 <= int(lines[:9]) <= MOST_LINES):
        return Refused(400, f"tailLines is not a number from 1 to {MOST_LINES}")
    if previous not in {"true", "false"}:
        return Refused(400, "previous is neither true nor false")
    return Tail(int(lines), previous == "true")


def _refused(refused: Refused) -> web.Response:
    headers = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "1"}, 503: {"Retry-After": "1"}}.get(refused.status, {})
    return web.Response(status=refused.status, text=f"{refused.message}\n", headers=headers)
