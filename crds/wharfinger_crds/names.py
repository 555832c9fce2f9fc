"""Names, labels, ports and paths that the programs and the chart must agree on. Each is written once, here."""

from __future__ import annotations

import base64
import functools
import hashlib
from typing import Final

GROUP: Final = "wharfinger.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGER: Final = "wharfinger"
"""Value of the managed-by label and the field manager of server-side apply."""
APP_NAME: Final = "app.kubernetes.io/name"
COMPONENT: Final = "app.kubernetes.io/component"

INSTALLATION_ID: Final = f"{GROUP}/installation-id"
"""The one label that selectors use; a value derived from namespace and name, so that it survives backup and restore."""
INSTALLATION_NAMESPACE: Final = f"{GROUP}/installation-namespace"
INSTALLATION_NAME: Final = f"{GROUP}/installation-name"
INSTALLATION_UID: Final = f"{GROUP}/installation-uid"
ENVIRONMENT: Final = f"{GROUP}/environment"
PART: Final = f"{GROUP}/part"
"""What an object in the system namespace is: `connection`, `tools`, `settings`, `root-key`, `signing-keys`, `login`, `upstream-token`."""
USABLE: Final = f"{GROUP}/usable"
"""On a Secret or ConfigMap of a tenant or of the catalog: installations and entries may name it."""

TEAMS_GRANT: Final = f"{GROUP}/teams"
USERS_GRANT: Final = f"{GROUP}/users"
ORGANIZATION_GRANT: Final = f"{GROUP}/organization"
RESTARTED_AT: Final = f"{GROUP}/restartedAt"
ALLOW_DELETION: Final = f"{GROUP}/allow-deletion"
"""`"true"` on an entry or environment: it may be deleted although it is in use."""
RESTRICTED_ASSIGNMENT: Final = "wharfinger-restricted-assignment"
"""The chart's admission policy, and its binding, by which only some assign entries and installations to restricted environments."""
INPUT_HASH: Final = f"{GROUP}/input-hash"
"""On a pod template: HMAC of the Secrets' data that the pod reads, so that rotation rolls the pods."""
INPUT_HASH_KEY: Final = "input-hash"
"""In the Secret with a pod's environment variables: the same, of the pods of which it and the Secrets beside it hold every secret value."""
IMAGE_CONFIG: Final = f"{GROUP}/image-config"
"""On a Deployment: what the image starts by itself, as its registry said, signed."""

SETTINGS_CONFIGMAP: Final = "wharfinger-settings"
SETTINGS_KEY: Final = "settings.yaml"
ROOT_KEY_SECRET: Final = "wharfinger-root-key"  # noqa: S105 - the Secret's name
ROOT_KEY: Final = "key"
SIGNING_KEYS_SECRET: Final = "wharfinger-signing-keys"  # noqa: S105 - the Secret's name
SIGNING_KEYS: Final = "keys.json"
CLIENT_SECRET_PART: Final = "client-secret"  # noqa: S105 - a label's value
"""Value of the part label on Secrets of the system namespace that the settings name: the administrator sets it."""
LOGIN_PART: Final = "login"
"""Value of the part label on Secrets with what an identity provider can be asked with again."""
UPSTREAM_TOKEN_PART: Final = "upstream-token"  # noqa: S105 - a label's value
"""Value of the part label on Secrets with the tokens of an installation's owner (`upstream_token`)."""
TOKEN_OWNER: Final = f"{GROUP}/owner"
TOKEN_ENTRY: Final = f"{GROUP}/entry"
"""On such a Secret: whose tokens they are, and for the server of which entry."""
CONNECTION_KEY: Final = "connection.json"
TOOLS_KEY: Final = "tools.json"
PACKED_TOOLS_KEY: Final = "tools.json.z"
"""In binaryData: the same, compressed by zlib."""
OPERATOR_LEASE: Final = "wharfinger-operator"

SERVER_CONTAINER: Final = "server"
"""The container of a server's pod in which the server runs."""
SERVER_PORT: Final = 8080
"""Port of a server's Service; the bridge listens on the same port in the pod."""
MCP_PATH: Final = "/mcp"
ENDPOINT_PREFIX: Final = "/v1/mcp"
INSTALL_PATH: Final = "/install"

NAME_MAXIMUM: Final = 50
"""Length of our objects' names, so that names derived from them stay DNS labels."""


def short_hash(*parts: str, length: int = 10) -> str:
    """Return a hash of `parts` as lower-case base32, `length` characters, for use in names."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return base64.b32encode(digest).decode().lower()[:length]


@functools.lru_cache(maxsize=8192)
def installation_id(namespace: str, name: str) -> str:
    """Return the id label's value of an installation."""
    return short_hash("installation", namespace, name)


def server_name(namespace: str, name: str) -> str:
    """Return the name of an installation's Deployment, Service and ServiceAccount: a DNS label that is unique over all tenants."""
    return f"mcp-{name[:46].rstrip('-')}-{installation_id(namespace, name)}"


def egress_policy_name(namespace: str, name: str) -> str:
    """Return the name of a provider's policy beside an installation's NetworkPolicy, and never that one's: a DNS label (AWS tells policies apart by name only)."""
    return f"mcp-{name[:38].rstrip('-')}-{installation_id(namespace, name)}-egress"


def connection_name(namespace: str, name: str) -> str:
    """Return the name of an installation's connection Secret in the system namespace."""
    return f"connection-{installation_id(namespace, name)}"


def tools_name(tools_hash: str) -> str:
    """Return the name of the ConfigMap with the tool definitions of that hash (`sha256:…`)."""
    return f"tools-{tools_hash.removeprefix('sha256:')[:24]}"


def server_url(namespace: str, name: str, server_namespace: str, path: str = MCP_PATH) -> str:
    """Return the in-cluster URL of a self-hosted installation's MCP endpoint."""
    return f"http://{server_name(namespace, name)}.{server_namespace}.svc:{SERVER_PORT}{path}"


def gateway_id(namespace: str, name: str) -> str:
    """Return how tokens and URLs name a gateway."""
    return f"{namespace}.{name}"


def endpoint_path(namespace: str, name: str) -> str:
    """Return the path of a gateway's MCP endpoint below the public URL."""
    return f"{ENDPOINT_PREFIX}/{gateway_id(namespace, name)}"
