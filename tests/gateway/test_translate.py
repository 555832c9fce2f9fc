"""Manifests to the snapshot: golden files, and what every one of them must keep."""

import base64
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import golden as golden_files
from gateway_world import (
    SECRET,
    Manifest,
    by_entry,
    entry,
    gateway,
    installation,
    namespace,
    pinned,
    root_key,
    settings,
    snapshot_of,
    token,
    translated,
)
from own_address import ADDRESS
from wharfinger_crds.token import Token
from wharfinger_gateway.current import Current
from wharfinger_gateway.snapshot import Index
from wharfinger_gateway.translate import translate_tokens

HIDDEN = {"session_key", "fingerprint", "definition"}


def stored(manifest: Manifest) -> Manifest:
    """Return a manifest as the API server stores it: `stringData` becomes `data`."""
    written = manifest.get("stringData", {})
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in written.items()}
    return manifest | {"data": manifest.get("data", {}) | encoded} if written else manifest


def plain(value: Any) -> Any:
    """Return a value as YAML shows it, without keys and digests, and without what has no value."""
    if isinstance(value, Index):
        return {name: plain(getattr(value, name)) for name in ("own", "team", "shared", "newest_tools")}
    if isinstance(value, BaseModel):
        return plain(value.model_dump(mode="json", by_alias=True, exclude_defaults=True))
    if dataclasses.is_dataclass(value):
        members = {one.name: getattr(value, one.name) for one in dataclasses.fields(value) if one.name not in HIDDEN}
        return {name: plain(member) for name, member in members.items() if member not in (None, (), frozenset())}
    if isinstance(value, Mapping):
        return {_key(key): plain(member) for key, member in sorted(value.items(), key=lambda item: _key(item[0]))}
    if isinstance(value, frozenset):
        return sorted(value)
    return [plain(one) for one in value] if isinstance(value, tuple | list) else value


def _key(key: Any) -> str:
    return "/".join(str(part) for part in key) if isinstance(key, tuple) else str(key)


def test_translation_matches_golden(case: Path, golden: golden_files.Golden) -> None:
    manifests = [stored(one) for one in golden_files.manifests(case)]
    translation = translated(manifests)
    tokens, refused = translate_tokens(Token.parse(one) for one in manifests if one["kind"] == "McpToken")
    outcome = plain(translation.snapshot)
    outcome["index"] = {name: {k: [i["name"] if isinstance(i, dict) else i for i in v] if isinstance(v, list) else v for k, v in one.items()}
                        for name, one in outcome["index"].items()}  # fmt: skip
    golden(outcome | {"tokens": plain(tokens), "refused": [str(one) for one in (*translation.refused, *refused)]})


def test_equal_objects_make_an_equal_snapshot_which_is_not_published_again() -> None:
    current = Current()
    made = installation("bot", team="engineering")
    world = [entry("github"), gateway("tools", pinned("bot"), by_entry())]
    first, second = snapshot_of(made, world), snapshot_of(world, made)
    assert first == second
    assert (current.publish(first), current.publish(second)) == (True, False)
    assert current.snapshot is first


@pytest.mark.parametrize(
    "change",
    [
        [settings(public_url="https://other.example.com")],
        [settings(teams={})],
        [root_key(8)],
        [entry("github", teams=["sales"])],
        [gateway("tools", pinned("bot", include=["echo"]))],
        [installation("bot", team="engineering", url=f"http://{ADDRESS}:10/mcp")],
        [installation("bot", team="engineering", tools=())],
        [installation("bot", team="engineering", through_gateways=True)],
    ],
    ids=["public-url", "teams", "root-key", "entry", "gateway", "url", "tools", "sharing"],
)
def test_whatever_decides_about_a_call_makes_another_snapshot(change: list[Any]) -> None:
    def snapshot(changes: list[Any]) -> Any:
        base = [entry("github"), gateway("tools", pinned("bot")), *installation("bot", team="engineering"), settings(), root_key()]
        changed = {(one["kind"], one["metadata"]["name"]): one for part in changes for one in ([part] if isinstance(part, dict) else part)}
        # The date of an installation is no part of what is compared here.
        by_name = {(one["kind"], one["metadata"]["name"]): one for one in base} | changed
        for one in by_name.values():
            one["metadata"].pop("creationTimestamp", None)
        return snapshot_of(list(by_name.values()))

    assert snapshot([]) == snapshot([])
    assert snapshot([]) != snapshot(change)


@pytest.mark.requirement("GW-3")
@pytest.mark.parametrize(
    ("visibility", "granted", "counts"),
    [
        ({}, {"organization": "true"}, True),
        ({}, {"organization": "false"}, False),
        ({}, {"teams": "*", "users": "*"}, False),
        ({"teams": ["sales"]}, {"teams": "engineering, sales"}, True),
        ({"teams": ["sales", "hr"]}, {"teams": "sales"}, False),
        ({"teams": ["sales"]}, {"organization": "true"}, False),
        ({"owner": "okta:alice"}, {"users": "okta:alice"}, True),
        ({"owner": "okta:alice"}, {"users": "okta:bob"}, False),
        ({"owner": "okta:alice"}, {"teams": "*"}, False),
    ],
)
def test_a_gateway_counts_only_where_its_visibility_is_granted(visibility: Manifest, granted: dict[str, str], counts: bool) -> None:
    result = translated(namespace("dev", **granted), gateway("tools", **visibility))
    assert (list(result.snapshot.gateways) == ["dev.tools"]) is counts
    assert (result.refused == ()) is counts


@pytest.mark.requirement("GW-3", "GW-6")
@pytest.mark.parametrize(
    ("owner", "granted", "counts"),
    [
        ({"user": "okta:alice"}, {"users": "okta:alice"}, True),
        ({"user": "okta:alice"}, {"users": "okta:bob", "teams": "*"}, False),
        ({"team": "sales"}, {"teams": "sales"}, True),
        ({"team": "sales"}, {"teams": "hr", "users": "*", "organization": "true"}, False),
    ],
)
def test_an_installation_counts_only_where_its_owner_is_granted(owner: dict[str, Any], granted: dict[str, str], counts: bool) -> None:
    result = translated(namespace("dev", **granted), installation("bot", **owner))
    assert (list(result.snapshot.installations) == [("dev", "bot")]) is counts
    assert (result.refused == ()) is counts


def test_objects_of_an_unknown_namespace_are_granted_nothing() -> None:
    result = translated(installation("bot", team="sales", namespace="qa"), gateway("tools", namespace="qa"))
    assert (dict(result.snapshot.gateways), dict(result.snapshot.installations), len(result.refused)) == ({}, {}, 2)


def test_a_connection_made_for_an_earlier_installation_of_the_name_does_not_count() -> None:
    result = translated(installation("bot", team="sales", secret_uid="uid-of-the-deleted-one"))
    assert dict(result.snapshot.installations) == {}
    assert "made for another installation" in result.refused[0].reason


def test_no_reason_repeats_a_secret_value() -> None:
    broken = installation("bot", team="sales")
    text = base64.b64decode(broken[1]["data"]["connection.json"]).decode().replace('"url"', '"link"')
    broken[1]["data"]["connection.json"] = base64.b64encode(text.encode()).decode()
    refused = translated(broken).refused
    assert [one.reason for one in refused] == ["malformed connection: url"]
    assert SECRET not in repr(refused)


@pytest.mark.requirement("GW-1")
def test_what_is_wrong_with_one_object_holds_up_no_other() -> None:
    wrong = gateway("wrong")
    wrong["spec"]["visibility"] = {"scope": "Everyone"}
    result = translated(wrong, gateway("right"))
    assert list(result.snapshot.gateways) == ["dev.right"]
    assert [(one.name, "visibility.scope" in one.reason) for one in result.refused] == [("wrong", True)]


def test_of_two_default_environments_neither_is_the_default() -> None:
    def environment(name: str) -> Manifest:
        return {"kind": "Environment", "metadata": {"name": name}, "spec": {"title": name, "default": True, "egress": {"mode": "DenyAll"}}}

    assert snapshot_of(entry("github"), environment("a")).entries["github"].environment == "a"
    assert snapshot_of(entry("github"), environment("a"), environment("b")).entries["github"].environment is None


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://mcp.example.com", "https://mcp.example.com"),
        ("https://MCP.example.com:443/base", "https://mcp.example.com"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://x:80", "http://x"),
    ],
)
def test_the_public_origin_is_as_browsers_say_it(url: str, origin: str) -> None:
    assert snapshot_of(settings(public_url=url)).public_origin == origin


@pytest.mark.requirement("AUT-4")
def test_a_tokens_text_is_nowhere_in_what_is_kept_of_it() -> None:
    text = "whf_u_" + "0" * 36
    found, _ = translate_tokens([Token.parse(token("t", text, user="okta:alice"))])
    assert text not in repr(found)
