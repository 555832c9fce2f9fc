"""The verbs of the Kubernetes API, on plain dictionaries.

Invariants: the caller's dictionaries are never changed; returned objects always carry `apiVersion` and `kind` (the API server leaves them
out of list items) and, unless asked for, no `managedFields`; a list is only believed when the answer is one, since an empty list taken
from a wrong answer would look like "everything was deleted". Every method raises the errors of `wharfinger_cluster.errors`.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Literal, Self

from wharfinger_cluster.connection import Login
from wharfinger_cluster.errors import Unreachable
from wharfinger_cluster.resource import EVERYTHING, POD, Object, Resource, Scope
from wharfinger_cluster.transport import Call, RequestHook, Transport
from wharfinger_cluster.watch import WatchEvent, events

Propagation = Literal["Background", "Foreground", "Orphan"]

PAGE = 500
"""Objects a page: the whole list is never in memory as JSON."""
SILENCE = 75.0
"""Seconds without a byte after which a watch is given up; the API server sends bookmarks about every minute."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list; all parts show the collection at the same resource version."""

    items: list[Object]
    resource_version: str


@dataclass(frozen=True, slots=True)
class LogTail:
    """Which part of a pod's log is asked for."""

    container: str
    lines: int
    """From the end."""
    limit: int
    """Bytes; what is longer is cut at its end."""
    previous: bool = False
    """Of the container's run before the present one."""


class Cluster:
    """A client of one API server, as one identity and one field manager; an asynchronous context manager."""

    def __init__(self, login: Login, *, manager: str = "wharfinger", on_request: RequestHook | None = None) -> None:
        self._manager = manager
        self._transport = Transport(login, on_request)

    async def __aenter__(self) -> Self:
        """Make the connections available; nothing is sent yet."""
        await self._transport.open()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close all connections. Tasks that use the cluster must have ended before."""
        await self._transport.close()

    async def get(
        self, resource: Resource, name: str, namespace: str | None = None, *, subresource: str = "", managed_fields: bool = False
    ) -> Object:
        """Read one object."""
        answer = await self._transport.send(Call("get", resource, namespace, name, subresource))
        return _tidy(answer, resource, managed_fields=managed_fields)

    async def pages(
        self, resource: Resource, scope: Scope = EVERYTHING, *, limit: int = PAGE, managed_fields: bool = False
    ) -> AsyncIterator[Page]:
        """Read a collection page by page. Raise `Gone` where reading took longer than the API server keeps history (5 minutes)."""
        token = ""
        while True:
            call = Call("list", resource, scope.namespace, params={**_selectors(scope), "limit": str(limit), "continue": token})
            page, token = _page(call, await self._transport.send(call), managed_fields=managed_fields)
            yield page
            if not token:
                return

    async def list(self, resource: Resource, scope: Scope = EVERYTHING, *, limit: int = PAGE) -> tuple[Object, ...]:
        """Read a whole collection, `limit` objects a request."""
        found: tuple[Object, ...] = ()
        async for page in self.pages(resource, scope, limit=limit):
            found += tuple(page.items)
        return found

    async def create(self, resource: Resource, body: Object, *, dry_run: bool = False) -> Object:
        """Create an object; raise `Conflict` with reason `AlreadyExists` where there is one of that name."""
        call = Call("create", resource, _namespace(body), params=self._write(dry_run=dry_run))
        return _tidy(await self._transport.send(call, _typed(body, resource)), resource)

    async def apply(self, resource: Resource, body: Object, *, subresource: str = "", force: bool = True, dry_run: bool = False) -> Object:
        """Server-side apply: own exactly the fields in `body`; `force` takes those that other managers own, else they are a `Conflict`.

        Applying the same twice changes nothing, with one exception: a NetworkPolicy with an empty list (`egress: []`, `from: []`) gets a
        new resource version each time. Leave empty lists out.
        """
        params = {**self._write(dry_run=dry_run), "force": "true" if force else "false"}
        call = Call("apply", resource, _namespace(body), body["metadata"]["name"], subresource, params)
        return _tidy(await self._transport.send(call, _typed(body, resource)), resource)

    async def patch(self, resource: Resource, name: str, body: Object, namespace: str | None = None, *, subresource: str = "") -> Object:
        """Merge `body` into an object (RFC 7386): null removes a key, a list replaces a list."""
        call = Call("patch", resource, namespace, name, subresource, self._write())
        return _tidy(await self._transport.send(call, body), resource)

    async def replace(self, resource: Resource, body: Object, *, subresource: str = "") -> Object:
        """Replace an object; raise `Conflict` where it is not at the body's `metadata.resourceVersion` any more."""
        call = Call("update", resource, _namespace(body), body["metadata"]["name"], subresource, self._write())
        return _tidy(await self._transport.send(call, _typed(body, resource)), resource)

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        preconditions: Mapping[str, str] = MappingProxyType({}),
        propagation: Propagation = "Background",
    ) -> None:
        """Delete an object; with `preconditions` (`uid`, `resourceVersion`) only that very one, else raise `Conflict`."""
        options: Object = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
            "preconditions": dict(preconditions),
        }
        await self._transport.send(Call("delete", resource, namespace, name), options)

    async def log(self, pod: str, namespace: str, tail: LogTail) -> str:
        """Read the end of a container's log; raise `Invalid` where the container has not started."""
        params = {
            "container": tail.container,
            "tailLines": str(tail.lines),
            "limitBytes": str(tail.limit),
            "previous": "true" if tail.previous else "",
        }
        return await self._transport.read_text(Call("get", POD, namespace, pod, "log", params))

    @asynccontextmanager
    async def watch(
        self,
        resource: Resource,
        scope: Scope = EVERYTHING,
        *,
        resource_version: str,
        seconds: int = 300,
        silence: float = SILENCE,
    ) -> AsyncIterator[AsyncIterator[WatchEvent]]:
        """Open one watch from `resource_version` on; the iterator ends when the API server ends the watch, after about `seconds`.

        `silence` is the longest wait for the next byte, in seconds.
        """
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(seconds),
            **_selectors(scope),
        }
        call = Call("watch", resource, scope.namespace, params=params)
        async with self._transport.stream(call, silence=silence, total=seconds + 60) as chunks:
            yield events(chunks, str(call), resource)

    def _write(self, *, dry_run: bool = False) -> dict[str, str]:
        return {"fieldManager": self._manager, "fieldValidation": "Strict", "dryRun": "All" if dry_run else ""}


def _selectors(scope: Scope) -> dict[str, str]:
    return {"labelSelector": scope.labels, "fieldSelector": scope.fields}


def _namespace(body: Object) -> str | None:
    namespace: str | None = body["metadata"].get("namespace")
    return namespace


def _typed(body: Object, resource: Resource) -> Object:
    return {"apiVersion": resource.api_version, "kind": resource.kind, **body}


def _tidy(found: Object, resource: Resource, *, managed_fields: bool = False) -> Object:
    found.setdefault("apiVersion", resource.api_version)
    found.setdefault("kind", resource.kind)
    if not managed_fields and isinstance(metadata := found.get("metadata"), dict):
        metadata.pop("managedFields", None)
    return found


def _page(call: Call, answer: Object, *, managed_fields: bool) -> tuple[Page, str]:
    metadata = answer.get("metadata")
    if not str(answer.get("kind")).endswith("List") or not isinstance(metadata, dict) or not metadata.get("resourceVersion"):
        raise Unreachable(f"{call}: the answer is not a list; is this the API server?")
    items = [_tidy(item, call.resource, managed_fields=managed_fields) for item in answer.get("items") or ()]
    return Page(items, metadata["resourceVersion"]), metadata.get("continue", "")
