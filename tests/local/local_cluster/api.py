"""Requests to the cluster's API server as its administrator, with nothing but the standard library."""

import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any

from local_cluster.layout import API_PORT, PKI


@dataclass(frozen=True)
class Answer:
    """A response; status 0 stands for no response at all."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def context() -> ssl.SSLContext:
    """TLS with the cluster's CA and the administrator's certificate. Raises OSError where there is no cluster."""
    tls = ssl.create_default_context(cafile=str(PKI / "ca.crt"))
    tls.load_cert_chain(PKI / "admin.crt", PKI / "admin.key")
    return tls


def connect(timeout: float, tls: ssl.SSLContext | None = None) -> http.client.HTTPSConnection:
    """A connection to the API server on this machine."""
    return http.client.HTTPSConnection("127.0.0.1", API_PORT, context=tls or context(), timeout=timeout)


def get(path: str, timeout: float = 2.0) -> Answer:
    """One GET request."""
    try:
        connection = connect(timeout)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return Answer(response.status, response.read())
        finally:
            connection.close()
    except (OSError, http.client.HTTPException):
        return Answer(0, b"")


def is_ready() -> bool:
    """Whether the API server says that it is ready."""
    return get("/readyz").status == 200


def node_is_ready(name: str) -> bool:
    """Whether the node's Ready condition is True."""
    answer = get(f"/api/v1/nodes/{name}")
    if answer.status != 200:
        return False
    return any(c["type"] == "Ready" and c["status"] == "True" for c in answer.json()["status"].get("conditions", ()))
