"""Which clients there are, and which requests to the token endpoint are theirs."""

import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from authlib.oauth2.auth import encode_client_secret_basic, encode_client_secret_post

from document_host import DocumentHost
from wharfinger_crds.oauth import OAuth
from wharfinger_oauth.client import Client
from wharfinger_oauth.client_assertion import Assertions
from wharfinger_oauth.client_keys import ClientKeys
from wharfinger_oauth.clients import Clients, Proofs
from wharfinger_oauth.documents import Documents
from wharfinger_oauth.registration import register
from wharfinger_oauth.request import Request
from wharfinger_oauth.unavailable import Unavailable

pytestmark = pytest.mark.requirement("AUT-1")

KEY = b"k" * 32
SECRET = "s3cret+/:%20é&="
CALLBACK = "https://agents.example/callback"
BASIC: dict[str, Any] = {"id": "basic", "name": "Basic", "redirectUris": [CALLBACK], "secretRef": {"name": "clients", "key": "basic"}}
POST = {**BASIC, "id": "post", "method": "client_secret_post"}
PUBLIC = {"id": "public", "name": "Public", "redirectUris": ["http://localhost/callback"]}
SECRETS = {("clients", "basic"): f"{SECRET}\n".encode()}
Make = Callable[..., Clients]


@pytest.fixture
async def make(site: DocumentHost, http: httpx.AsyncClient) -> AsyncIterator[Make]:
    async with site.fetcher() as fetcher:
        documents, keys = Documents(fetcher), ClientKeys(http)

        def made(secrets: Mapping[tuple[str, str], bytes] = SECRETS, **registration: Any) -> Clients:
            settings = OAuth.model_validate({"clients": [BASIC, POST, PUBLIC], "registration": registration})
            return Clients(settings, secrets, KEY, Proofs(documents, Assertions(["https://mcp.example"]), keys))

        yield made
        await documents.close()


def token_request(
    form: Mapping[str, str] = MappingProxyType({}), *authorization: str, query: Mapping[str, str] = MappingProxyType({})
) -> Request:
    return Request("POST", "/oauth/token", query=query, form=form, headers={"authorization": authorization} if authorization else {})


def basic(client_id: str, secret: str) -> str:
    return f"Basic {base64.b64encode(f'{client_id}:{secret}'.encode()).decode()}"


def registered(method: str = "none") -> dict[str, Any]:
    body = {"redirect_uris": ["https://claude.ai/api/mcp/auth_callback"], "token_endpoint_auth_method": method}
    answer: dict[str, Any] = json.loads(register(json.dumps(body).encode(), OAuth().registration, KEY, 1_790_000_000).body)
    return answer


async def test_clients_are_found_by_how_they_made_themselves_known(make: Make, site: DocumentHost) -> None:
    clients = make()
    for client_id, source in (
        ("public", "Settings"),
        ("basic", "Settings"),
        (registered()["client_id"], "Registration"),
        (site.document("/client.json"), "Document"),
    ):
        client = await clients.find(client_id)
        assert client is not None
        assert (client.id, client.source) == (client_id, source)
    for client_id in ("", "nobody", "dcr1.", "dcr1.AAAA", "https://apps.example/", site.url("/none.json")):
        assert await clients.find(client_id) is None


async def test_a_client_that_the_settings_name_by_its_documents_url_is_what_they_say_and_nobody_asks_its_host(
    site: DocumentHost, http: httpx.AsyncClient
) -> None:
    says = {"name": "Claude", "redirectUris": [CALLBACK]}
    urls = site.document("/public.json", redirect_uris=["https://evil.example/cb"]), site.document("/secret.json")
    named = [{**says, "id": urls[0]}, {**says, "id": urls[1], "secretRef": {"name": "clients", "key": "missing"}}]
    async with site.fetcher() as fetcher:
        proofs = Proofs(Documents(fetcher), Assertions(["https://mcp.example"]), ClientKeys(http))
        clients = Clients(OAuth.model_validate({"clients": named}), SECRETS, KEY, proofs)
        client, without_secret = await clients.find(urls[0]), await clients.find(urls[1])
    assert client is not None
    assert (client.name, client.redirect_uris, client.source) == ("Claude", (CALLBACK,), "Settings")
    assert without_secret is None
    assert not site.asked


async def test_a_denied_client_does_not_count_however_it_made_itself_known(make: Make, site: DocumentHost) -> None:
    ids = ["public", registered()["client_id"], site.document("/client.json")]
    clients = make(denied=ids)
    assert [await clients.find(client_id) for client_id in ids] == [None] * 3
    assert site.asked == []
    assert await clients.find(registered()["client_id"]) is not None


async def test_documents_of_hosts_that_do_not_count_are_not_fetched(make: Make, site: DocumentHost) -> None:
    client_id = site.document("/client.json")
    assert await make(documentHosts=["other.example"]).find(client_id) is None
    assert await make(metadataDocuments="Off").find(client_id) is None
    assert site.asked == []
    assert await make(documentHosts=["apps.example"]).find(client_id) is not None


async def test_whose_document_cannot_be_had_is_told_to_come_back_and_whoever_only_names_it_learns_nothing(
    make: Make, site: DocumentHost
) -> None:
    clients, here, gone = make(), site.document("/here.json"), site.url("/gone.json")
    assert await clients.authenticated(token_request({"client_id": gone})) is None
    site.addresses = ["10.0.0.1"]
    assert isinstance(await clients.authenticated(token_request({"client_id": here})), Unavailable)
    assert [await clients.find(one) for one in (here, gone)] == [None, None]
    site.addresses = ["127.0.0.1"]
    assert await is_authenticated(clients, here, token_request({"client_id": here}))


async def test_a_client_whose_secret_is_not_there_is_no_public_client(make: Make) -> None:
    for secrets in ({}, {("clients", "basic"): b""}, {("clients", "basic"): b"\n"}, {("clients", "basic"): b"\xff"}):
        clients = make(secrets)
        assert await clients.find("basic") is None
        assert await clients.authenticated(token_request({"client_id": "basic"})) is None


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n"])
async def test_a_secret_counts_without_the_line_ends_that_were_written_behind_it_and_with_every_other_character(
    make: Make, end: bytes
) -> None:
    clients = make({("clients", "basic"): b" se\ncret \t" + end})
    assert await is_authenticated(clients, "post", token_request({"client_id": "post", "client_secret": " se\ncret \t"}))
    assert not await is_authenticated(clients, "post", token_request({"client_id": "post", "client_secret": "se\ncret"}))


async def is_authenticated(clients: Clients, client_id: str, request: Request) -> bool:
    client = await clients.find(client_id)
    assert client is not None
    return await clients.authenticated(request) == client


async def test_a_public_client_names_itself(make: Make) -> None:
    clients = make()
    assert await is_authenticated(clients, "public", token_request({"client_id": "public"}))
    assert await is_authenticated(clients, "public", token_request({"client_id": "public", "client_secret": ""}))


async def test_a_secret_comes_in_the_header_encoded_or_not(make: Make) -> None:
    clients = make()
    encoded = basic(quote("basic", safe=""), quote(SECRET, safe=""))
    for authorization in (encoded, encoded.replace("Basic", "basic"), basic("basic", SECRET)):
        assert await is_authenticated(clients, "basic", token_request({}, authorization))
        assert await is_authenticated(clients, "basic", token_request({"client_id": "basic"}, authorization))


async def test_a_secret_comes_in_the_body_where_that_is_the_clients_way(make: Make) -> None:
    assert await is_authenticated(make(), "post", token_request({"client_id": "post", "client_secret": SECRET}))


@pytest.mark.parametrize("method", ("client_secret_basic", "client_secret_post"))
async def test_a_registered_clients_secret_counts_as_another_library_sends_it(make: Make, method: str) -> None:
    answer = registered(method)
    sender = type("Sender", (), {"client_id": answer["client_id"], "client_secret": answer["client_secret"]})()
    encode = encode_client_secret_basic if method == "client_secret_basic" else encode_client_secret_post
    _, headers, body = encode(sender, "POST", "https://mcp.example/oauth/token", {}, "grant_type=authorization_code")
    form = dict(pair.split("=", 1) for pair in body.split("&"))
    authorization = [headers["Authorization"]] if "Authorization" in headers else []
    assert await is_authenticated(make(), answer["client_id"], token_request(form, *authorization))


REFUSED = (
    ("basic", token_request()),
    ("basic", token_request({"client_id": "basic"})),
    ("basic", token_request({"client_id": "basic", "client_secret": SECRET})),
    ("basic", token_request({}, basic("basic", ""))),
    ("basic", token_request({}, basic("basic", "wrong"))),
    ("basic", token_request({}, basic("basic", SECRET[:-1]))),
    ("basic", token_request({}, basic("post", SECRET))),
    ("basic", token_request({}, basic("", SECRET))),
    ("basic", token_request({"client_id": "post"}, basic("basic", SECRET))),
    ("basic", token_request({"client_id": "basic", "client_secret": SECRET}, basic("basic", SECRET))),
    ("basic", token_request({}, basic("basic", SECRET), basic("basic", SECRET))),
    ("basic", token_request({"client_id": "basic"}, "Basic")),
    ("basic", token_request({"client_id": "basic"}, "Basic !!!")),
    ("basic", token_request({"client_id": "basic"}, "Basic /////w==")),
    ("basic", token_request({"client_id": "basic"}, f"Basic {base64.b64encode(b'basic').decode()}")),
    ("basic", token_request({"client_id": "basic"}, f"Bearer {SECRET}")),
    ("basic", token_request({}, query={"client_id": "basic", "client_secret": SECRET})),
    ("post", token_request({"client_id": "post"})),
    ("post", token_request({"client_id": "post", "client_secret": ""})),
    ("post", token_request({"client_id": "post", "client_secret": "wrong"})),
    ("post", token_request({"client_secret": SECRET})),
    ("post", token_request({}, basic("post", SECRET))),
    ("post", token_request({"client_id": "post"}, query={"client_secret": SECRET})),
    ("post", token_request({"client_id": "post", "client_secret": SECRET}, query={"client_secret": SECRET})),
    ("public", token_request({"client_id": "basic"})),
    ("public", token_request({"client_id": "public", "client_secret": "anything"})),
    ("public", token_request({}, basic("public", "anything"))),
    ("public", token_request({"client_id": "public"}, "Basic !!!")),
    ("public", token_request({"client_id": "public"}, query={"client_assertion": "a.b.c"})),
)


@pytest.mark.parametrize(("client_id", "request_"), REFUSED, ids=range(len(REFUSED)))
async def test_a_client_proves_itself_in_its_one_way_and_in_no_other(make: Make, client_id: str, request_: Request) -> None:
    clients = make()
    client = await clients.find(client_id)
    assert client is not None
    found = await clients.authenticated(request_)
    assert not isinstance(found, Client) or found.id != client_id


async def test_the_secret_of_one_registered_client_is_not_that_of_another(make: Make) -> None:
    one, other = registered("client_secret_basic"), registered("client_secret_basic")
    assert await is_authenticated(make(), one["client_id"], token_request({}, basic(one["client_id"], one["client_secret"])))
    assert not await is_authenticated(make(), one["client_id"], token_request({}, basic(one["client_id"], other["client_secret"])))


async def test_no_secret_is_in_what_is_logged(make: Make) -> None:
    clients = make()
    request = token_request({"client_id": "post", "client_secret": SECRET}, basic("basic", SECRET))
    assert SECRET not in f"{request!r} {await clients.find('post')!r} {await clients.find('basic')!r}"
