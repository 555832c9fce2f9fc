"""Documents that two programs share: platform settings and the connection."""

import pytest

from wharfinger_crds.connection import CONNECTION_VERSION, Connection, ConnectionHeader, MalformedConnectionError, read_connection
from wharfinger_crds.settings import SettingsError, read_settings
from wharfinger_crds.tool_definitions import definitions_hash, definitions_text

SETTINGS = """
publicUrl: https://mcp.acme.dev
namespaces: {system: wharfinger-system, catalog: catalog, servers: [servers], tenants: [team-a]}
images: {base: base:1, bridge: wharfinger:1}
teams: [{name: engineering, members: ["okta:alice"]}]
"""
CONNECTION = Connection(
    namespace="team-a", name="github", uid="u", entry="github", environment="prod", url="https://x/mcp", headers=(ConnectionHeader(name="authorization", value="Bearer swordfish"),)
)  # fmt: skip


def test_settings_say_who_is_in_which_team() -> None:
    settings = read_settings(SETTINGS)

    assert settings.teams_of("okta:alice") == {"engineering"}
    assert settings.teams_of("okta:bob") == frozenset()


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (("publicUrl: https://mcp.acme.dev", "publicUrl: https://mcp.acme.dev/"), "publicUrl"),
        (("servers: [servers]", "servers: []"), "namespaces.servers"),
        (('["okta:alice"]', "[alice]"), "teams.0.members.0"),
        (("images: {base: base:1, bridge: wharfinger:1}", ""), "images"),
        (("teams:", "dns: {platform: Azure}\nteams:"), "dns.platform"),
        (("teams:", "dns: {addresses: [kube-dns]}\nteams:"), "dns"),
        (("teams:", "dns: {platform: EKSAuto}\nteams:"), "dns"),
        (("teams:", "oauth: {trustedProxies: [ingress]}\nteams:"), "oauth: Value error, trustedProxies"),
    ],
)
def test_wrong_settings_are_refused_by_the_path_of_the_field(change: tuple[str, str], path: str) -> None:
    with pytest.raises(SettingsError, match=path.replace(".", r"\.")):
        read_settings(SETTINGS.replace(*change))


@pytest.mark.parametrize("user", ["user:swordfish@", "user@", ":swordfish@", "@", "a:b@c@"])
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_no_url_of_the_settings_holds_a_user_or_a_password_and_the_refusal_names_the_field_and_not_them(scheme: str, user: str) -> None:
    provider = f"identityProviders: [{{name: okta, clientId: c, issuer: '{scheme}://{user}okta.example/a@b'}}]"
    with pytest.raises(SettingsError, match=r"identityProviders\.0.*issuer: holds a user or a password") as refused:
        read_settings(SETTINGS + provider)
    assert "swordfish" not in str(refused.value)
    with pytest.raises(SettingsError, match="publicUrl: holds a user or a password") as refused:
        read_settings(SETTINGS.replace("https://", f"{scheme}://{user}"))
    assert "swordfish" not in str(refused.value)


@pytest.mark.parametrize("path", ["/a//b", "/a/../b", "/.well-known", "/a;b", "/a%2fb", "/a,b", "/ä", '/a"b', "/a\\\\b", "/a/.b"])
def test_a_path_of_the_public_url_that_could_be_read_in_two_ways_is_refused(path: str) -> None:
    with pytest.raises(SettingsError, match="publicUrl: its path has"):
        read_settings(SETTINGS.replace("publicUrl: https://mcp.acme.dev", f"publicUrl: 'https://mcp.acme.dev{path}'"))
    plain = "https://mcp.acme.dev/tools/mcp-1.0_x~"
    assert read_settings(SETTINGS.replace("https://mcp.acme.dev", plain)).public_url == plain


@pytest.mark.parametrize(
    ("client_id", "counts"),
    [
        ("open-webui", True),
        ("https://claude.ai/oauth/mcp-oauth-client-metadata", True),
        ("https://claude.ai/", False),
        ("https://claude.ai", False),
        ("http://claude.ai/oauth/client", False),
        ("https://u@claude.ai/oauth/client", False),
        ("https://claude.ai/oauth/client?x=1", False),
        ("https://claude.ai/oauth/client#x", False),
        (f"https://claude.ai/{'x' * 200}", False),
        ("", False),
    ],
)
def test_a_client_goes_by_a_name_or_by_the_url_of_its_document(client_id: str, *, counts: bool) -> None:
    document = (
        f"{SETTINGS}oauth: {{clients: [{{id: '{client_id}', name: A, redirectUris: ['https://claude.ai/api/mcp/auth_callback']}}]}}\n"
    )
    if counts:
        assert read_settings(document).oauth.clients[0].id == client_id
    else:
        with pytest.raises(SettingsError, match=r"oauth\.clients\.0\.id"):
            read_settings(document)


CLIENT = "id: robot, name: Robot"
PUBLIC = '{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}'


@pytest.mark.parametrize(
    ("client", "says"),
    [
        ("jwksUri: https://robots.example/jwks", "jwksUri: only with method: private_key_jwt"),
        (f"jwks: {{keys: [{PUBLIC}]}}", "jwks: only with method: private_key_jwt"),
        ("method: private_key_jwt", "takes one of jwks and jwksUri"),
        (f"method: private_key_jwt, jwks: {{keys: [{PUBLIC}]}}, jwksUri: https://robots.example/jwks", "takes one of jwks and jwksUri"),
        ("method: private_key_jwt, jwksUri: https://robots.example/jwks, secretRef: {name: a, key: b}", "secretRef: there is none"),
        ("method: private_key_jwt, jwksUri: http://robots.example/jwks", "jwksUri: .* is not https"),
        ("method: private_key_jwt, jwksUri: 'https://u:swordfish@robots.example/jwks'", "jwksUri: holds a user or a password"),
        ("method: private_key_jwt, jwks: {keys: []}", r"oauth\.clients\.0\.jwks\.keys"),
        ("method: private_key_jwt, jwks: {keys: [{kty: EC, d: swordfish}]}", "jwks: holds a private or a secret key"),
        ("method: private_key_jwt, jwks: {keys: [{kty: oct, k: swordfish}]}", "jwks: holds a private or a secret key"),
    ],
)
def test_a_client_proves_itself_with_public_keys_in_one_way_or_is_refused_by_the_field(client: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as refused:
        read_settings(f"{SETTINGS}oauth: {{clients: [{{{CLIENT}, {client}}}]}}")
    assert "swordfish" not in str(refused.value)


def test_an_issuer_may_have_any_path() -> None:
    provider = "identityProviders: [{name: okta, clientId: c, issuer: 'https://okta.example/a@b'}]"
    assert read_settings(SETTINGS + provider).identity_providers[0].issuer == "https://okta.example/a@b"


@pytest.mark.parametrize("text", ["", "[]", "a: [", "just text"])
def test_what_is_no_settings_document_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="settings are not"):
        read_settings(text)


def test_a_connection_survives_the_way_through_its_secret() -> None:
    assert read_connection(CONNECTION.text()) == CONNECTION


def test_a_connection_of_a_newer_version_is_refused_with_what_to_do() -> None:
    newer = CONNECTION.text().replace(f'"version":{CONNECTION_VERSION}', f'"version":{CONNECTION_VERSION + 1}')

    with pytest.raises(MalformedConnectionError, match="upgrade the gateway"):
        read_connection(newer)


def test_a_field_that_a_newer_operator_added_is_ignored() -> None:
    assert read_connection(CONNECTION.text().replace("{", '{"invented":1,', 1)) == CONNECTION


def test_neither_repr_nor_error_of_a_connection_holds_the_credential() -> None:
    broken = CONNECTION.text().replace('"namespace":"team-a",', "")

    with pytest.raises(MalformedConnectionError) as caught:
        read_connection(broken)

    assert "namespace" in str(caught.value)
    assert "swordfish" not in repr(CONNECTION) + str(caught.value)


def test_equal_tools_have_equal_hashes_in_whatever_order_they_came() -> None:
    one, two = {"name": "a", "inputSchema": {}}, {"name": "b"}

    assert definitions_hash(definitions_text([one, two])) == definitions_hash(definitions_text([two, one]))
    assert definitions_hash(definitions_text([one])) != definitions_hash(definitions_text([two]))
