"""One who floods the doors before anybody is known."""

import asyncio

import httpx

from authorization_scene import REDIRECT, Scene
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
        # A browser of the same address goes on.
        page = await flood.get(f"{scene.replicas[0].url}/oauth/authorize")
        assert page.status_code == 400
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(local_address="127.0.0.2")) as other:
        assert (await other.post(url, json=body)).status_code == 201
