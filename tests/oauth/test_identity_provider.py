"""Logins at identity providers: who proved himself, and nothing sent to whoever did not."""

import base64
import json
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from hostile_identity_provider import DISCOVERY, KEYS, TOKEN, USERINFO, HostileIdentityProvider, always
from identity_provider_process import CALLBACK, IdentityProviderProcess, identity_provider
from provider_login import NONCE, SECRET, VERIFIER, failure, finish, grant, party, who
from wharfinger_oauth.identity_provider import Failure, FailureReason, LoggedIn, RelyingParty
from wharfinger_oauth.subject import Subject

SCOPES = ("openid", "email", "groups")


async def log_in(real: IdentityProviderProcess, relying: RelyingParty, person: str = "alice") -> Subject | Failure:
    url = await relying.authorization_url("the-state", NONCE, VERIFIER, CALLBACK)
    assert isinstance(url, str)
    answered = parse_qs(urlsplit(await real.login(url, person)).query)
    assert answered["state"] == ["the-state"]
    return who(await relying.finish(answered["code"][0], NONCE, VERIFIER, CALLBACK, answered["iss"][0]))


@pytest.mark.requirement("AUT-5")
async def test_a_person_logs_in_at_a_real_provider(real: IdentityProviderProcess, http: httpx.AsyncClient) -> None:
    settings = real.provider(scopes=SCOPES, groupsClaim="groups", groupsPrefix="okta:")

    found = await log_in(real, party(settings, http, real.client_secret.encode()))

    assert isinstance(found, Subject)
    assert (found.user, found.issuer, found.email) == ("okta:alice", real.issuer, "alice@example.com")
    assert found.groups == ("okta:engineering", "okta:staff")
    assert abs(found.authenticated_at - time.time()) < 60


async def test_claims_that_only_the_userinfo_endpoint_gives_are_asked_for_there(http: httpx.AsyncClient) -> None:
    with identity_provider(claims_in_id_token=False) as real:
        settings = real.provider(scopes=SCOPES, usernameClaim="email", groupsClaim="groups")

        found = await log_in(real, party(settings, http, real.client_secret.encode()))

    assert isinstance(found, Subject)
    assert (found.user, found.groups) == ("okta:alice@example.com", ("engineering", "staff"))


@pytest.mark.requirement("AUT-5")
async def test_whose_email_address_is_not_verified_has_no_name_by_it(real: IdentityProviderProcess, http: httpx.AsyncClient) -> None:
    settings = real.provider(scopes=SCOPES, usernameClaim="email")

    found = await log_in(real, party(settings, http, real.client_secret.encode()), "bob")

    assert isinstance(found, Failure)
    assert found.reason is FailureReason.BAD_CLAIMS
    assert "email_verified" in found.message


@pytest.mark.requirement("AUT-5")
async def test_a_person_who_left_a_group_is_out_of_it_with_the_next_login(real: IdentityProviderProcess, http: httpx.AsyncClient) -> None:
    relying = party(real.provider(scopes=SCOPES, groupsClaim="groups"), http, real.client_secret.encode())
    real.change("carol", email="carol@example.com", email_verified=True, groups=["engineering", "staff"])
    before = await log_in(real, relying, "carol")
    real.change("carol", groups=["staff"])

    after = await log_in(real, relying, "carol")

    assert isinstance(before, Subject)
    assert isinstance(after, Subject)
    assert (before.groups, after.groups) == (("engineering", "staff"), ("staff",))


async def test_a_code_counts_once_with_its_verifier_and_secret_only(real: IdentityProviderProcess, http: httpx.AsyncClient) -> None:
    relying = party(real.provider(), http, real.client_secret.encode())
    url = await relying.authorization_url("s", NONCE, VERIFIER, CALLBACK)
    assert isinstance(url, str)
    code = parse_qs(urlsplit(await real.login(url)).query)["code"][0]

    async def refused(by: RelyingParty, verifier: str) -> str:
        found = await by.finish(code, NONCE, verifier, CALLBACK, real.issuer)
        assert isinstance(found, Failure)
        assert found.reason is FailureReason.REFUSED
        return found.message

    assert "invalid_client" in await refused(party(real.provider(), http, b"wrong"), VERIFIER)
    assert "invalid_grant" in await refused(relying, "w" * 43)
    assert isinstance(await relying.finish(code, NONCE, VERIFIER, CALLBACK, real.issuer), LoggedIn)
    assert "invalid_grant" in await refused(relying, VERIFIER)


@pytest.mark.parametrize(
    ("scopes", "lists", "prompt"),
    [
        (["openid"], None, "login"),
        (["openid", "offline_access"], None, "login consent"),
        (["openid"], ["none", "login", "select_account"], "select_account"),
        (["openid"], ["none", "login"], "login"),
        (["openid"], "select_account", "login"),
    ],
)
async def test_whoever_wants_to_be_somebody_else_is_asked_who_he_is(
    scopes: list[str], lists: object, prompt: str, hostile: HostileIdentityProvider, http: httpx.AsyncClient
) -> None:
    hostile.document["prompt_values_supported"] = lists
    relying = party(hostile.provider(scopes=scopes), http)
    url = await relying.authorization_url("the state", NONCE, VERIFIER, CALLBACK, anew=True)
    assert isinstance(url, str)
    assert parse_qs(urlsplit(url).query)["prompt"] == [prompt]
    usual = await relying.authorization_url("the state", NONCE, VERIFIER, CALLBACK)
    assert isinstance(usual, str)
    assert parse_qs(urlsplit(usual).query).get("prompt") == (["consent"] if "offline_access" in scopes else None)


async def test_the_browser_is_sent_with_state_nonce_and_challenge(hostile: HostileIdentityProvider, http: httpx.AsyncClient) -> None:
    hostile.document["authorization_endpoint"] = f"{hostile.issuer}/authorize?tenant=a"

    url = await party(hostile.provider(), http).authorization_url("the state", NONCE, VERIFIER, CALLBACK)

    assert isinstance(url, str)
    assert url.startswith(f"{hostile.issuer}/authorize?tenant=a&")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert asked == {
        "tenant": "a",
        "response_type": "code",
        "client_id": "wharfinger",
        "redirect_uri": CALLBACK,
        "scope": "openid profile email",
        "state": "the state",
        "nonce": NONCE,
        "code_challenge": "7w_YNF9DSfIdPf_pRjSq646_kPr-2-o9NAl16JGghdM",
        "code_challenge_method": "S256",
    }


@pytest.mark.parametrize("says_so", [True, False])
@pytest.mark.parametrize("change", [lambda _: "https://evil.example", lambda iss: f"{iss}/", lambda iss: iss.upper(), lambda _: ""])
async def test_an_answer_of_another_issuer_sends_nothing_to_any_token_endpoint(
    change: Any, says_so: bool, hostile: HostileIdentityProvider, http: httpx.AsyncClient
) -> None:
    hostile.document["authorization_response_iss_parameter_supported"] = says_so
    grant(hostile)
    iss = change(hostile.issuer)

    assert (await failure(hostile, http, iss)).reason is FailureReason.WRONG_ISSUER
    told = await party(hostile.provider(), http).check_issuer(iss)
    assert told is not None
    assert told.reason is FailureReason.WRONG_ISSUER
    assert hostile.asked[TOKEN] == 0


async def test_an_issuer_that_promises_to_name_itself_must(hostile: HostileIdentityProvider, http: httpx.AsyncClient) -> None:
    grant(hostile)
    assert isinstance(await finish(hostile, http), Subject)

    hostile.asked.clear()
    hostile.document["authorization_response_iss_parameter_supported"] = True
    assert (await failure(hostile, http)).reason is FailureReason.WRONG_ISSUER
    assert hostile.asked[TOKEN] == 0
    assert isinstance(await finish(hostile, http, hostile.issuer), Subject)


@pytest.mark.parametrize("document", [{"issuer": "https://evil.example"}, {"token_endpoint": "http://evil.example/token"}])
async def test_a_poisoned_document_gets_neither_browser_nor_code(
    document: dict[str, str], hostile: HostileIdentityProvider, http: httpx.AsyncClient
) -> None:
    hostile.document.update(document)
    relying = party(hostile.provider(), http)

    assert isinstance(await relying.authorization_url("s", NONCE, VERIFIER, CALLBACK), Failure)
    assert (await failure(hostile, http, hostile.issuer)).reason is FailureReason.UNAVAILABLE
    assert hostile.asked[TOKEN] == 0


@pytest.mark.parametrize("path", [DISCOVERY, TOKEN, KEYS, USERINFO])
@pytest.mark.parametrize("reply", [always(302, Location="/elsewhere"), always(307, Location="/elsewhere"), always(503), always(text="no")])
async def test_a_provider_that_redirects_or_does_not_answer_is_not_there(
    path: str, reply: Any, hostile: HostileIdentityProvider, http: httpx.AsyncClient
) -> None:
    grant(hostile)
    hostile.replies[path] = reply

    assert (await failure(hostile, http, groupsClaim="groups")).reason is FailureReason.UNAVAILABLE
    assert hostile.asked["/elsewhere"] == 0


async def test_a_client_proves_itself_in_the_way_the_provider_takes(hostile: HostileIdentityProvider, http: httpx.AsyncClient) -> None:
    grant(hostile)
    await party(hostile.provider(clientId="a b"), http, b"p/w:%+").finish("code", NONCE, VERIFIER, CALLBACK, None)
    assert hostile.authorizations[1] == f"Basic {base64.b64encode(b'a+b:p%2Fw%3A%25%2B').decode()}"
    assert hostile.forms[1] == {"grant_type": "authorization_code", "code": "code", "redirect_uri": CALLBACK, "code_verifier": VERIFIER}

    hostile.document["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    hostile.forms.clear()
    await finish(hostile, http)
    assert (hostile.forms[1]["client_id"], hostile.forms[1]["client_secret"]) == ("wharfinger", SECRET.decode())

    hostile.forms.clear()
    hostile.authorizations.clear()
    await party(hostile.provider(), http, None).finish("code", NONCE, VERIFIER, CALLBACK, None)
    assert hostile.forms[1]["client_id"] == "wharfinger"
    assert "client_secret" not in hostile.forms[1]
    assert hostile.authorizations[1] is None


@pytest.mark.parametrize("error", ["planted-code", "<script>", 7, None, "x" * 100, "planted_value\n"])
async def test_a_refusal_quotes_nothing_but_an_error_code(error: object, hostile: HostileIdentityProvider, http: httpx.AsyncClient) -> None:
    hostile.replies[TOKEN] = always(400, json.dumps({"error": error, "error_description": "planted-code"}))

    assert await failure(hostile, http) == Failure(FailureReason.REFUSED, "the token endpoint answered 400: no error code")


async def test_what_one_provider_keeps_in_the_client_s_cookies_goes_to_nobody(
    hostile: HostileIdentityProvider, http: httpx.AsyncClient
) -> None:
    grant(hostile)
    http.cookies.set("session", "planted", domain="127.0.0.1")
    seen: list[str | None] = []
    answer = hostile.answer

    async def watching(request: Any) -> Any:
        seen.append(request.headers.get("Cookie"))
        del hostile.replies[DISCOVERY]
        return await answer(request)

    hostile.replies[DISCOVERY] = watching

    assert isinstance(await finish(hostile, http), Subject)
    assert seen == [None]
