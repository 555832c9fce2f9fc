"""The resources and the template."""

import re
from collections.abc import Mapping

from everything_server.content import PIXEL
from everything_server.rpc import INVALID_PARAMS, Json, RpcError

RESOURCES: Mapping[str, Json] = {
    "test://static-text": {"mimeType": "text/plain", "text": "This is the content of the static text resource."},
    "test://static-binary": {"mimeType": "image/png", "blob": PIXEL},
    "test://watched-resource": {"mimeType": "text/plain", "text": "This resource may change."},
}
_TEMPLATE = re.compile(r"test://template/([^/]+)/data")


def listed() -> Json:
    def definition(uri: str, contents: Json) -> Json:
        name = uri.removeprefix("test://")
        return {"uri": uri, "name": name, "description": f"The resource {name}", "mimeType": contents["mimeType"]}

    return {"resources": [definition(uri, contents) for uri, contents in RESOURCES.items()]}


def templates() -> Json:
    template = {"uriTemplate": "test://template/{id}/data", "name": "template", "description": "A template", "mimeType": "application/json"}
    return {"resourceTemplates": [template]}


def read(uri: object) -> Json:
    """Return the result of a resources/read; raises RpcError."""
    if isinstance(uri, str) and uri in RESOURCES:
        return {"contents": [{"uri": uri, **RESOURCES[uri]}]}
    found = _TEMPLATE.fullmatch(str(uri))
    if found is None:
        raise RpcError(INVALID_PARAMS, "Resource not found", {"uri": uri})
    words = f'{{"id":"{found[1]}","templateTest":true,"data":"Data for ID: {found[1]}"}}'
    return {"contents": [{"uri": uri, "mimeType": "application/json", "text": words}]}
