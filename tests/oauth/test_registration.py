"""Clients that register themselves: what they are given, what is refused, and what an id is worth."""

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfinger_crds.oauth import Registration
from wharfinger_oauth.client import Client
from wharfinger_oauth.registration import MAX_ID, MAX_NAME, read_client_id, register
from wharfinger_oauth.request import MAX_BODY

pytestmark = pytest.mark.requirement("AUT-1")

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
NOW = 1_790_000_000
DEFAULT = Registration()
CLAUDE = "https://claude.ai/api/mcp/auth_callback"

FIELD: dict[str, dict[str, Any]] = {
    "Claude": {
        "client_name": "Claude",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "scope": "mcp",
        "redirect_uris": [CLAUDE],
    },
    "Claude Code": {
        "client_name": "Claude Code (github)",
        "redirect_uris": ["http://localhost:51004/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
    },
    "Cursor": {
        "client_name": "Cursor",
        "client_uri": "https://cursor.com",
        "redirect_uris": [
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "https://www.cursor.com/agents/mcp/oauth/callback",
            "http://localhost:8787/callback",
        ],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    },
    "VS Code": {
        "client_name": "Visual Studio Code",
        "client_uri": "https://code.visualstudio.com",
        "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        "response_types": ["code"],
        "redirect_uris": [
            "https://insiders.vscode.dev/redirect",
            "https://vscode.dev/redirect",
            "http://127.0.0.1/",
            "http://127.0.0.1:33418/",
        ],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
    },
    "ChatGPT": {
        "client_name": "ChatGPT",
        "redirect_uris": ["https://chatgpt.com/connector_platform_oauth_redirect"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_post",
    },
    "Python SDK": {
        "client_name": "an agent",
        "redirect_uris": ["http://localhost:3030/callback"],
        "client_uri": None,
        "jwks": None,
        "software_version": None,
    },
}


def ask(metadata: object, registration: Registration = DEFAULT, key: bytes = KEY, now: int = NOW) -> tuple[int, dict[str, Any]]:
    answer = register(json.dumps(metadata).encode(), registration, key, now)
    assert answer.headers == {"Content-Type": "application/json", "Cache-Control": "no-store"}
    return answer.status, json.loads(answer.body)


def registered(metadata: object, registration: Registration = DEFAULT) -> dict[str, Any]:
    status, answer = ask(metadata, registration)
    assert status == 201, answer
    return answer


def client_of(answer: dict[str, Any], registration: Registration = DEFAULT, key: bytes = KEY) -> Client | None:
    return read_client_id(answer["client_id"], registration, key)


@pytest.mark.parametrize("name", FIELD)
def test_a_client_of_the_field_registers_and_its_id_is_all_that_is_kept(name: str) -> None:
    metadata = FIELD[name]
    answer = registered(metadata)
    client = client_of(answer)
    assert client is not None
    assert (client.name, list(client.redirect_uris), client.source) == (metadata["client_name"], metadata["redirect_uris"], "Registration")
    assert (client.method, client.secret) == (answer["token_endpoint_auth_method"], answer.get("client_secret"))
    assert answer["token_endpoint_auth_method"] == metadata.get("token_endpoint_auth_method", "none")
    assert answer["redirect_uris"] == metadata["redirect_uris"]
    assert answer["grant_types"] == ["authorization_code", "refresh_token"]
    assert answer["response_types"] == ["code"]
    assert answer["client_id_issued_at"] == NOW
    assert len(answer["client_id"]) <= 240
    assert answer["client_id"].startswith("dcr1.")


@pytest.mark.parametrize("method", ("none", "client_secret_post", "client_secret_basic"))
def test_an_application_of_the_organization_registers_once_the_platform_knows_its_host(method: str) -> None:
    metadata = {
        "client_name": "Open WebUI",
        "redirect_uris": ["https://chat.acme.dev/oauth/clients/mcp:tools/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": method,
    }
    status, refused = ask(metadata)
    assert (status, refused["error"]) == (400, "invalid_redirect_uri")
    assert "chat.acme.dev, which is none of this platform's redirectHosts" in refused["error_description"]
    knows = Registration(redirect_hosts=("*.acme.dev",))
    client = client_of(registered(metadata, knows), knows)
    assert client is not None
    assert (client.name, client.method, client.confidential) == ("Open WebUI", method, method != "none")


def test_a_client_without_a_word_of_its_authentication_is_public_and_gets_no_secret() -> None:
    answer = registered({"redirect_uris": [CLAUDE]})
    assert answer["token_endpoint_auth_method"] == "none"
    assert "client_secret" not in answer
    assert "client_secret_expires_at" not in answer
    assert client_of(answer).confidential is False  # type: ignore[union-attr]


def test_a_confidential_client_gets_a_secret_that_does_not_expire_and_is_its_own() -> None:
    metadata = {"redirect_uris": [CLAUDE], "client_name": "Claude", "token_endpoint_auth_method": "client_secret_basic"}
    one, other = registered(metadata), registered(metadata)
    assert one["client_secret_expires_at"] == 0
    assert len(one["client_secret"]) == 43
    assert one["client_secret"] != other["client_secret"]
    assert one["client_id"] != other["client_id"]
    assert one["client_secret"] not in repr(client_of(one))


@pytest.mark.parametrize("given_type", ("native", "web"))
def test_the_application_type_is_echoed(given_type: str) -> None:
    assert registered({"redirect_uris": [CLAUDE], "application_type": given_type})["application_type"] == given_type


def test_unknown_metadata_is_ignored_and_not_given_back() -> None:
    unknown = {"logo_uri": "javascript:alert(1)", "client_uri": "data:,", "contacts": [{}], "software_statement": 3, "x": {"y": [None]}}
    assert registered({"redirect_uris": [CLAUDE], **unknown}).keys().isdisjoint(unknown)


@pytest.mark.parametrize(
    ("metadata", "error", "says"),
    (
        ({}, "invalid_redirect_uri", "between 1 and 10"),
        ({"redirect_uris": []}, "invalid_redirect_uri", "between 1 and 10"),
        ({"redirect_uris": [f"http://localhost/{n}" for n in range(11)]}, "invalid_redirect_uri", "between 1 and 10"),
        ({"redirect_uris": [f"http://localhost/{n}" for n in range(500)]}, "invalid_redirect_uri", "between 1 and 10"),
        ({"redirect_uris": CLAUDE}, "invalid_redirect_uri", "Expected"),
        ({"redirect_uris": [3]}, "invalid_redirect_uri", "Expected"),
        ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri", "redirect_uris[0] has a scheme"),
        ({"redirect_uris": [CLAUDE, "data:text/html,a"]}, "invalid_redirect_uri", "redirect_uris[1] has a scheme"),
        ({"redirect_uris": ["http://evil.example/callback"]}, "invalid_redirect_uri", "use https"),
        ({"redirect_uris": ["https://evil.example/callback"]}, "invalid_redirect_uri", "ask the administrator"),
        ({"redirect_uris": [CLAUDE, "https://evil.example/callback"]}, "invalid_redirect_uri", "ask the administrator"),
        ({"redirect_uris": [CLAUDE], "client_name": "n" * (MAX_NAME + 1)}, "invalid_client_metadata", "client_name"),
        ({"redirect_uris": [CLAUDE], "client_name": "Claude\r\nSet-Cookie: a=b"}, "invalid_client_metadata", "client_name"),
        ({"redirect_uris": [CLAUDE], "client_name": "Claude \u202egnp.exe"}, "invalid_client_metadata", "client_name"),
        ({"redirect_uris": [CLAUDE], "client_name": 3}, "invalid_client_metadata", "Expected"),
        ({"redirect_uris": [CLAUDE], "token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata", "must be one of"),
        ({"redirect_uris": [CLAUDE], "token_endpoint_auth_method": "plain"}, "invalid_client_metadata", "must be one of"),
        ({"redirect_uris": [CLAUDE], "grant_types": ["client_credentials"]}, "invalid_client_metadata", "authorization_code"),
        ({"redirect_uris": [CLAUDE], "response_types": ["token"]}, "invalid_client_metadata", "code"),
        ({"redirect_uris": [CLAUDE], "application_type": "desktop"}, "invalid_client_metadata", "native or web"),
        ([], "invalid_client_metadata", "Expected"),
        ("text", "invalid_client_metadata", "Expected"),
        (None, "invalid_client_metadata", "Expected"),
    ),
)
def test_what_cannot_be_registered_is_refused_by_the_standard_and_says_what_to_do(metadata: object, error: str, says: str) -> None:
    status, answer = ask(metadata)
    assert (status, answer["error"]) == (400, error)
    assert says in answer["error_description"]
    assert set(answer) == {"error", "error_description"}
    assert not set(answer["error_description"]) & set('"\\\r\n')


@pytest.mark.parametrize(
    "redirect", ("http://localhost:3000/callback", "cursor://anysphere.cursor-mcp/oauth/callback", "https://localhost/callback")
)
@pytest.mark.parametrize("method", ("client_secret_basic", "client_secret_post"))
def test_whoever_cannot_keep_a_secret_gets_none(redirect: str, method: str) -> None:
    status, answer = ask({"redirect_uris": [CLAUDE, redirect], "token_endpoint_auth_method": method})
    assert (status, answer["error"]) == (400, "invalid_client_metadata")
    assert "token_endpoint_auth_method none" in answer["error_description"]


@pytest.mark.parametrize(
    "body",
    (
        b"",
        b"{",
        b"\xff",
        b"[" * 5000,
        b'{"a":' * 2000 + b"1" + b"}" * 2000,
        b'{"redirect_uris":["\\ud800"]}',
        json.dumps({"redirect_uris": [CLAUDE]}).encode().ljust(MAX_BODY + 1),
        b"a" * 1024 * 1024,
    ),
)
def test_a_body_that_is_no_metadata_or_too_much_of_it_is_refused(body: bytes) -> None:
    answer = register(body, DEFAULT, KEY, NOW)
    assert answer.status == 400
    assert json.loads(answer.body)["error"] in {"invalid_client_metadata", "invalid_redirect_uri"}


def test_an_id_never_grows_beyond_what_a_request_line_can_carry() -> None:
    long = [f"http://localhost/{hashlib.shake_256(bytes([n])).hexdigest(200)}" for n in range(10)]
    status, answer = ask({"redirect_uris": long})
    assert (status, answer["error"]) == (400, "invalid_redirect_uri")
    assert "shorter" in answer["error_description"]
    assert len(registered({"redirect_uris": long[:1]})["client_id"]) <= MAX_ID


def test_a_platform_where_clients_do_not_register_refuses_them_and_knows_none_of_before() -> None:
    off = Registration(dynamic="Off")
    before = registered(FIELD["Claude"])
    assert ask(FIELD["Claude"], off)[0] == 400
    assert client_of(before, off) is None


def test_an_open_platform_registers_any_https_host_and_a_closed_one_forgets_those_redirects_again() -> None:
    opened = Registration(dynamic="Open")
    both = registered({"redirect_uris": ["https://tools.example/callback", CLAUDE]}, opened)
    foreign = registered({"redirect_uris": ["https://tools.example/callback"]}, opened)
    assert client_of(both, opened).redirect_uris == ("https://tools.example/callback", CLAUDE)  # type: ignore[union-attr]
    assert client_of(both).redirect_uris == (CLAUDE,)  # type: ignore[union-attr]
    assert client_of(foreign) is None


def test_an_id_of_another_platform_or_changed_in_any_character_is_nobody() -> None:
    answer = registered(FIELD["Cursor"])
    text = answer["client_id"]
    assert client_of(answer, key=OTHER_KEY) is None
    for place in range(len(text)):
        for character in "A0_":
            forged = text[:place] + character + text[place + 1 :]
            assert forged == text or read_client_id(forged, DEFAULT, KEY) is None


@given(st.text(max_size=200) | st.text(alphabet="dcr1.AZaz09-_=", max_size=200).map("dcr1.".__add__))
def test_no_text_that_was_not_registered_is_a_client(text: str) -> None:
    assert read_client_id(text, DEFAULT, KEY) is None


def test_an_id_has_one_text() -> None:
    text = registered(FIELD["Claude"])["client_id"]
    for other in (f"{text}=", f"{text}==", f"{text} ", f"{text}.", text.replace("dcr1", "DCR1"), text + "A" * MAX_ID):
        assert read_client_id(other, DEFAULT, KEY) is None
