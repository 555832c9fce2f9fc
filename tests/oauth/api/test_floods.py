"""One who floods the doors before anybody is known."""

import asyncio
from contextlib import AsyncExitStack

import httpx
import pytest

import authorization_scene
import raw_http
from authorization_scene import REDIRECT, Scene
from wharfinger_gateway.request_body import BODY_SECONDS
from wharfinger_oauth.peers import PER_MINUTE


async def test_a_flood_of_registrations_is_told_to_wait_and_others_register_and_log_in(scene: Scene) -> None:
    url = f"{scene.replicas[0].url}/oauth/register"
    body = {"redirect_uris": [REDIRECT]}
    count = PER_MINUTE["register"] + 300
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=16), timeout=60) as flood:
        answers = await asyncio.gather(*(flood.post(url, json=body) for _ in range(count)))
        refused = [answer for answer in answers if answer.status_code == 429]
        assert {answer.status_code for answer in answers} == {201, 429}
        assert 0 < len(refused) <= 300
        assert {answer.json()["error"] for answer in refused} == {"temporarily_unavailable"}
        assert all(1 <= int(answer.headers["Retry-After"]) <= 60 for answer in refused)
        assert {answer.headers["Access-Control-Allow-Origin"] for answer in refused} == {"*"}
        _, metrics = await scene.replicas[0].probe("/metrics")
        counted = 'wharfinger_gateway_oauth_answers_total{path="/oauth/register",status="%d"} %.1f'
        assert counted % (201, len(answers) - len(refused)) in metrics
        assert counted % (429, len(refused)) in metrics
        # A browser of the same address goes on.
        page = await flood.get(f"{scene.replicas[0].url}/oauth/authorize")
        assert page.status_code == 400
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(local_address="127.0.0.2")) as other:
        assert (await other.post(url, json=body)).status_code == 201


@pytest.mark.requirement("AUT-1")
async def test_bodies_that_never_end_hold_up_nobody_and_are_not_waited_for(scene: Scene) -> None:
    url, slow = scene.replicas[0].url, []
    async with AsyncExitStack() as stack:
        for number in range(300):
            path = ("/oauth/token", "/oauth/register", "/oauth/revoke", "/oauth/consent", "/token")[number % 5]
            reader, writer = await raw_http.connect(url)
            stack.callback(writer.transport.abort)
            fields = [("Host", "x"), ("Content-Type", "application/x-www-form-urlencoded"), ("Content-Length", "1000")]
            writer.write(raw_http.request("POST", path, fields, b"grant_type="))
            slow.append((reader, writer))
        # More of them than requests are answered at a time, and all the while somebody logs in.
        async with authorization_scene.client(scene) as client:
            assert (await scene.call((await client.tokens())["access_token"])).status_code == 200
        for _, writer in slow:
            writer.write(b"x")
        async with asyncio.timeout(2 * BODY_SECONDS):
            answers = await asyncio.gather(*(raw_http.answer(reader) for reader, _ in slow))
        assert {answer.status for answer in answers} == {400}
