"""Manifests of a small organization, and what the gateway makes of them.

`okta:alice` and `okta:bob` are in `engineering`, `okta:bob` and `okta:carol` in `sales`, `okta:dave` is in no team.
"""

import base64
import itertools
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import yaml

from own_address import ADDRESS, rules
from wharfinger_crds import names
from wharfinger_crds.connection import Connection, read_connection
from wharfinger_crds.egress_rules import EgressRules
from wharfinger_crds.environment import Environment
from wharfinger_crds.gateway import Gateway
from wharfinger_crds.installation import Installation
from wharfinger_crds.registry_entry import RegistryEntry
from wharfinger_crds.settings import Settings
from wharfinger_crds.token import Token, token_hash, token_text
from wharfinger_crds.tool_definitions import definitions_hash, definitions_text
from wharfinger_gateway.current import Current
from wharfinger_gateway.read import Namespace, RootKey, StoredConnection, ToolList, read
from wharfinger_gateway.snapshot import Refused, Snapshot
from wharfinger_gateway.translate import Resources, Translation, translate, translate_tokens

Manifest = dict[str, Any]

SYSTEM = "wharfinger-system"
PUBLIC_URL = "https://mcp.example.com"
SECRET = "planted-credential-4711"
TEAMS = {"engineering": ["okta:alice", "okta:bob"], "sales": ["okta:bob", "okta:carol"]}
GRANTS = {"teams": "*", "users": "*", "organization": "true"}
OPEN = rules()
"""Egress rules of every installation that says no others: they open this machine's address, and nothing else."""
_dates = itertools.count()


def _object(kind: str, name: str, spec: Manifest, namespace: str = "", **metadata: Any) -> Manifest:
    return {
        "apiVersion": names.API_VERSION,
        "kind": kind,
        "metadata": {"name": name} | ({"namespace": namespace} if namespace else {}) | metadata,
        "spec": spec,
    }


def settings(*, public_url: str = PUBLIC_URL, teams: dict[str, list[str]] | None = None) -> Manifest:
    """Return the settings ConfigMap."""
    document = {
        "publicUrl": public_url,
        "namespaces": {"system": SYSTEM, "catalog": "catalog", "servers": ["servers"], "tenants": ["dev"]},
        "images": {"base": "base:1", "bridge": "bridge:1"},
        "teams": [{"name": name, "members": members} for name, members in (TEAMS if teams is None else teams).items()],
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": names.SETTINGS_CONFIGMAP, "namespace": SYSTEM},
        "data": {names.SETTINGS_KEY: yaml.safe_dump(document)},
    }


def root_key(byte: int = 7) -> Manifest:
    """Return the root key's Secret."""
    return secret(names.ROOT_KEY_SECRET, names.ROOT_KEY, bytes([byte]) * 32)


def secret(name: str, key: str, value: bytes, **labels: str) -> Manifest:
    """Return a Secret of the system namespace."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": SYSTEM, "labels": {f"{names.GROUP}/{label}": text for label, text in labels.items()}},
        "data": {key: base64.b64encode(value).decode()},
    }


def namespace(name: str = "dev", **grants: str) -> Manifest:
    """Return a tenant namespace; without arguments it is granted everything."""
    annotations = {f"{names.GROUP}/{key}": value for key, value in (grants or GRANTS).items()}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "annotations": annotations}}


def environment(name: str, *, default: bool = False) -> Manifest:
    """Return an Environment."""
    return _object("Environment", name, {"title": name, "default": default, "egress": {"mode": "DenyAll"}})


def entry(name: str, *, teams: Sequence[str] = (), in_environment: str | None = None) -> Manifest:
    """Return a registry entry, visible to teams or else to everyone."""
    spec: Manifest = {"title": name.title(), "type": "Remote", "remote": {"url": "https://upstream.example.com/mcp"}}
    if teams:
        spec["visibility"] = {"scope": "Team", "teams": list(teams)}
    if in_environment:
        spec["environmentRef"] = {"name": in_environment}
    return _object("McpRegistryEntry", name, spec)


def tool(name: str, **members: Any) -> Manifest:
    """Return a tool definition."""
    return {"name": name, "description": f"does {name}", "inputSchema": {"type": "object", "properties": {}}} | members


DEFAULT_TOOLS = (tool("echo"), tool("get_me"))


def installation(
    name: str,
    *,
    entry: str = "github",
    user: str | None = None,
    team: str | None = None,
    namespace: str = "dev",
    shared_with: Sequence[str] = (),
    through_gateways: bool = False,
    in_environment: str = "prod",
    url: str = f"http://{ADDRESS}:9/mcp",
    transport: Literal["Auto", "StreamableHTTP", "SSE"] = "StreamableHTTP",
    egress: EgressRules | None = OPEN,
    tools: Sequence[Manifest] | None = DEFAULT_TOOLS,
    suspend: bool = False,
    client_headers: bool = True,
    secret_uid: str | None = None,
) -> list[Manifest]:
    """Return an installation, its connection Secret and its tools ConfigMap; later ones are newer."""
    uid = f"uid-{namespace}-{name}"
    sharing = ({"teams": list(shared_with)} if shared_with else {}) | ({"throughGateways": True} if through_gateways else {})
    spec: Manifest = {"entryRef": {"name": entry}, "owner": {"user": user} if user else {"team": team}, "suspend": suspend}
    made = _object(
        "McpInstallation", name, spec | ({"sharing": sharing} if sharing else {}), namespace, uid=uid,
        creationTimestamp=f"{datetime.fromtimestamp(1_780_000_000 + next(_dates), UTC):%Y-%m-%dT%H:%M:%SZ}",
    )  # fmt: skip
    text = definitions_text(tools) if tools is not None else None
    connection = Connection(
        namespace=namespace, name=name, uid=secret_uid or uid, entry=entry, environment=in_environment, url=url, egress=egress,
        transport=transport,
        headers=({"name": "Authorization", "value": f"Bearer {SECRET}"}, {"name": "x-site", "value": name}),
        tools_hash=definitions_hash(text) if text is not None else None, client_headers=client_headers,
    )  # fmt: skip
    stored = secret(names.connection_name(namespace, name), names.CONNECTION_KEY, connection.text().encode(), part="connection")
    return [made, stored] + ([tools_config_map(text)] if text is not None else [])


def connection_of(manifests: Sequence[Manifest]) -> Connection:
    """Return the connection of an installation that was made above."""
    (stored,) = (one for one in manifests if one["kind"] == "Secret")
    return read_connection(base64.b64decode(stored["data"][names.CONNECTION_KEY]))


def tools_config_map(text: str) -> Manifest:
    """Return the ConfigMap of a list of definitions."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": names.tools_name(definitions_hash(text)), "namespace": SYSTEM, "labels": {names.PART: "tools"}},
        "data": {names.TOOLS_KEY: text},
    }


def pinned(name: str, **assignment: Any) -> Manifest:
    """Return an assignment of all tools of one installation."""
    return {"installationRef": {"name": name}, "include": ["*"]} | assignment


def by_entry(name: str = "github", **assignment: Any) -> Manifest:
    """Return an assignment of all tools of an entry."""
    return {"entryRef": {"name": name}, "include": ["*"]} | assignment


def gateway(
    name: str = "tools",
    *assignments: Manifest,
    namespace: str = "dev",
    teams: Sequence[str] = (),
    owner: str | None = None,
    bearer: bool = True,
    **spec: Any,
) -> Manifest:
    """Return a gateway: of teams, of one person, or else of the organization."""
    visibility: Manifest = {"scope": "Team", "teams": list(teams)} if teams else {"scope": "Org"}
    if owner:
        visibility = {"scope": "Personal", "owner": owner}
    authentication = {"bearerTokens": {"enabled": bearer}}
    whole = {"title": name.title(), "visibility": visibility, "tools": list(assignments), "authentication": authentication} | spec
    return _object("McpGateway", name, whole, namespace)


def token(name: str, text: str, *, user: str | None = None, team: str | None = None, **spec: Any) -> Manifest:
    """Return the McpToken of a token's text; of the organization unless a user or a team is named."""
    subject: Manifest = {"user": user} if user else {"team": team} if team else {"organization": True}
    return _object("McpToken", name, {"subject": subject, "tokenHash": token_hash(text)} | spec, SYSTEM)


def text_of(name: str) -> str:
    """Return a well-formed token that belongs to a name."""
    return token_text("user", (name.replace("-", "0") + "0" * 30)[:30])


ALICE, BOB, CAROL, DAVE = (text_of(name) for name in ("alice", "bob", "carol", "dave"))
ENGINEERING, SALES, ORGANIZATION = (text_of(name) for name in ("engineering", "sales", "organization"))


def tokens() -> list[Manifest]:
    """Return a token for everyone."""
    return [
        *(token(name, text_of(name), user=f"okta:{name}") for name in ("alice", "bob", "carol", "dave")),
        *(token(name, text_of(name), team=name) for name in ("engineering", "sales")),
        token("organization", ORGANIZATION),
    ]


def flat(*parts: Manifest | Iterable[Manifest]) -> list[Manifest]:
    """Return manifests and lists of them as one list."""
    return [one for part in parts for one in ([part] if isinstance(part, dict) else part)]


def translated(*parts: Manifest | Iterable[Manifest]) -> Translation:
    """Return the translation of manifests; settings, root key and namespace `dev` are added where they are missing."""
    found = flat(*parts)
    present = {(one["kind"], one["metadata"]["name"]) for one in found}
    found += [one for one in (settings(), root_key(), namespace()) if (one["kind"], one["metadata"]["name"]) not in present]
    values = [read(one) for one in found]

    def of(kind: type) -> tuple[Any, ...]:
        return tuple(value for value in values if type(value) is kind)

    result = translate(
        Resources(
            settings=of(Settings)[0], root_key=of(RootKey)[0], gateways=of(Gateway), installations=of(Installation),
            entries=of(RegistryEntry), environments=of(Environment), namespaces=of(Namespace), connections=of(StoredConnection),
            tools=of(ToolList),
        )
    )  # fmt: skip
    return Translation(result.snapshot, (*(value for value in values if isinstance(value, Refused)), *result.refused))


def snapshot_of(*parts: Manifest | Iterable[Manifest]) -> Snapshot:
    """Return the snapshot of manifests, of which none is refused."""
    result = translated(*parts)
    assert result.refused == ()
    return result.snapshot


def current_of(*parts: Manifest | Iterable[Manifest]) -> Current:
    """Return what is in force with these manifests and a token for everyone."""
    found = flat(*parts)
    current = Current()
    current.publish(snapshot_of(*found))
    parsed = [Token.parse(one) for one in [*found, *tokens()] if one["kind"] == "McpToken"]
    current.tokens, _ = translate_tokens(parsed)
    return current


def dump(manifests: Iterable[Manifest]) -> str:
    """Return manifests as JSON, a line each."""
    return "\n".join(json.dumps(one) for one in manifests)
