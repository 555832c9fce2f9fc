"""Metadata documents of clients: which URLs are ids, which documents count, and whose."""

import json
from typing import Any

import pytest

from wharfinger_crds.oauth import Registration
from wharfinger_oauth.client_document import DocumentError, document_host, is_trusted, read_document

pytestmark = pytest.mark.requirement("AUT-1")

ID = "https://apps.example/client.json"
DOCUMENT: dict[str, Any] = {"client_id": ID, "client_name": "Agent", "redirect_uris": ["http://localhost/callback"]}
JWKS = {"keys": [{"kty": "EC", "crv": "P-256", "x": "a", "y": "b", "kid": "1"}]}


@pytest.mark.parametrize(
    "client_id",
    (
        ID,
        "https://apps.example/a/b.json",
        "https://apps.example:8443/client.json",
        "https://apps.example/a%20b",
        "https://chatgpt.com/connector/oauth/client",
    ),
)
def test_an_https_url_with_a_path_is_the_id_of_a_document(client_id: str) -> None:
    assert document_host(client_id) is not None


@pytest.mark.parametrize(
    "client_id",
    (
        "",
        "dcr1.abc",
        "client",
        "http://apps.example/client.json",
        "HTTPS://apps.example/client.json",
        "https://apps.example",
        "https://apps.example/",
        "https://apps.example?client.json",
        "https://apps.example/client.json?a=b",
        "https://apps.example/client.json?",
        "https://apps.example/client.json#a",
        "https://user@apps.example/client.json",
        "https://user:pass@apps.example/client.json",
        "https://apps.example/../client.json",
        "https://apps.example/a/%2e%2E/client.json",
        "https://apps.example/./client.json",
        "https://apps.example/a/%2e/client.json",
        "https://apps.example/a/..",
        "https://apps.example\\@evil.example/client.json",
        "https://[::1]x/client.json",
        "https://2130706433/client.json",
        "https://0x7f000001/client.json",
        "https://apps.example/*",
        "https://apps.example/cl ient.json",
        "https://apps.example/client.json\n",
        "https://apps.example/" + "a" * 512,
        "file:///etc/passwd",
        "unix:///run/a.sock",
    ),
)
def test_any_other_url_is_no_id(client_id: str) -> None:
    assert document_host(client_id) is None


def test_a_client_is_what_its_document_says_and_its_host_is_known() -> None:
    client = read_document(ID, "application/json; charset=utf-8", _json(DOCUMENT | {"logo_uri": "javascript:alert(1)"})).client
    assert (client.id, client.name, client.host, client.source) == (ID, "Agent", "apps.example", "Document")
    assert (client.redirect_uris, client.method, client.secret) == (("http://localhost/callback",), "none", None)


@pytest.mark.parametrize(
    ("changed", "says"),
    (
        ({"client_id": "https://apps.example/other.json"}, "own URL"),
        ({"client_id": "https://APPS.example/client.json"}, "own URL"),
        ({"client_id": f"{ID}/"}, "own URL"),
        ({"client_id": None}, "no document"),
        ({"client_name": None}, "no document"),
        ({"client_name": ""}, "client_name"),
        ({"client_name": "a" * 101}, "client_name"),
        ({"client_name": "a\u202eb"}, "client_name"),
        ({"redirect_uris": None}, "no document"),
        ({"redirect_uris": []}, "redirect_uris"),
        ({"redirect_uris": ["http://localhost/"] * 11}, "redirect_uris"),
        ({"redirect_uris": ["javascript:alert(1)"]}, "scheme"),
        ({"redirect_uris": ["http://localhost/", "data:text/html,a"]}, "scheme"),
        ({"redirect_uris": ["http://evil.example/"]}, "http to another machine"),
        ({"client_secret": "s3cret"}, "secret"),
        ({"client_secret_expires_at": 0}, "secret"),
        ({"token_endpoint_auth_method": "client_secret_basic"}, "no document"),
        ({"token_endpoint_auth_method": "client_secret_post"}, "no document"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "jwks"),
        ({"token_endpoint_auth_method": "private_key_jwt", "jwks": JWKS, "jwks_uri": "https://apps.example/jwks"}, "jwks"),
        ({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": []}}, "key set"),
        ({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": ["a"]}}, "key set"),
        ({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "http://apps.example/jwks"}, "jwks_uri"),
        ({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://10.0.0.1/jwks"}, "jwks_uri"),
        ({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "file:///etc/passwd"}, "jwks_uri"),
    ),
)
def test_a_document_that_says_what_it_must_not_is_none(changed: dict[str, Any], says: str) -> None:
    contents = {name: value for name, value in (DOCUMENT | changed).items() if value is not None}
    with pytest.raises(DocumentError, match=says):
        read_document(ID, "application/json", _json(contents))


@pytest.mark.parametrize("body", (b"", b"[]", b"null", b"{", b"\xff\xfe", b"<html>", b'{"a":' * 2000, b"[" * 5000))
def test_what_is_not_a_json_object_is_no_document(body: bytes) -> None:
    with pytest.raises(DocumentError):
        read_document(ID, "application/json", body)


@pytest.mark.parametrize(
    ("content_type", "counts"),
    (("application/json", True), ("application/client+json", True), ("text/html", False), ("text/json", False), ("", False)),
)
def test_a_document_is_served_as_json(content_type: str, counts: bool) -> None:
    try:
        read_document(ID, content_type, _json(DOCUMENT))
    except DocumentError:
        assert not counts
    else:
        assert counts


def test_a_platform_can_say_whose_documents_count() -> None:
    assert is_trusted("apps.example", Registration())
    assert not is_trusted("apps.example", Registration(metadata_documents="Off"))
    only = Registration(document_hosts=("apps.example", "*.tools.example"))
    assert [is_trusted(host, only) for host in ("apps.example", "a.tools.example", "tools.example", "evil.example", "xapps.example")] == [
        True,
        True,
        False,
        False,
        False,
    ]


def _json(contents: object) -> bytes:
    return json.dumps(contents).encode()
