"""The objects that policies are made of, kept up to date by list and watch, one thread for each kind."""

import http.client
import json
import threading
import time
from typing import Any

from local_cluster import api

PATHS = {
    "pods": "/api/v1/pods",
    "namespaces": "/api/v1/namespaces",
    "policies": "/apis/networking.k8s.io/v1/networkpolicies",
    "cilium": "/apis/cilium.io/v2/ciliumnetworkpolicies",
    "ciliumwide": "/apis/cilium.io/v2/ciliumclusterwidenetworkpolicies",
}
ALWAYS_THERE = frozenset({"pods", "namespaces", "policies"})
WATCH_SECONDS = 300
RETRY_SECONDS = 1.0


class Store:
    """The newest objects of every kind; `changed` is set when they are others than before."""

    def __init__(self) -> None:
        self.changed = threading.Event()
        self._lock = threading.Lock()
        self._objects: dict[str, dict[str, Any]] = {kind: {} for kind in PATHS}
        self._listed: set[str] = set()

    def follow(self) -> None:
        """Begin to follow every kind."""
        for kind in PATHS:
            threading.Thread(target=self._follow, args=(kind,), daemon=True).start()

    def is_complete(self) -> bool:
        """Whether every kind that is always there has been listed once: before, no rule can be right."""
        return self._listed >= ALWAYS_THERE

    def of(self, *kinds: str) -> tuple[Any, ...]:
        """The objects of these kinds."""
        with self._lock:
            return tuple(o for kind in kinds for o in self._objects[kind].values())

    def _follow(self, kind: str) -> None:
        tls = api.context()
        while True:
            try:
                self._list_and_watch(kind, api.connect(WATCH_SECONDS + 10, tls))
            except (OSError, http.client.HTTPException, ValueError):
                time.sleep(RETRY_SECONDS)

    def _list_and_watch(self, kind: str, connection: http.client.HTTPSConnection) -> None:
        connection.request("GET", PATHS[kind])
        response = connection.getresponse()
        body = response.read()
        if response.status != http.HTTPStatus.OK:  # a definition that is not installed, now or any more
            self._replace(kind, {})
            time.sleep(RETRY_SECONDS)
            return
        listing = json.loads(body)
        self._replace(kind, {o["metadata"]["uid"]: o for o in listing["items"]})
        version = listing["metadata"]["resourceVersion"]
        connection.request("GET", f"{PATHS[kind]}?watch=1&timeoutSeconds={WATCH_SECONDS}&resourceVersion={version}")
        events = connection.getresponse()
        while line := events.readline():
            event = json.loads(line)
            if event["type"] == "ERROR":
                return
            self._take(kind, event["type"], event["object"])

    def _replace(self, kind: str, objects: dict[str, Any]) -> None:
        with self._lock:
            changed = kind not in self._listed or self._objects[kind] != objects
            self._objects[kind] = objects
            self._listed.add(kind)
        if changed:
            self.changed.set()

    def _take(self, kind: str, what: str, thing: Any) -> None:
        with self._lock:
            if what == "DELETED":
                self._objects[kind].pop(thing["metadata"]["uid"], None)
            else:
                self._objects[kind][thing["metadata"]["uid"]] = thing
        self.changed.set()
