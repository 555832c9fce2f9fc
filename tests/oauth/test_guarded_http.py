"""What is fetched from URLs of strangers: the public internet only, little, soon, and without going on elsewhere."""

import asyncio
import ipaddress
import threading
from collections.abc import Sequence

import pytest
from aiohttp import web

from document_host import HOST, DocumentHost
from eventually import eventually
from wharfinger_crds.address_ranges import Address
from wharfinger_oauth.guarded_http import RESOLVERS, Fetcher, FetchError, is_public

pytestmark = pytest.mark.requirement("AUT-1")

SHUT = (
    "127.0.0.1", "127.8.8.8", "0.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "169.254.1.1",
    "168.63.129.16", "192.0.0.192", "198.18.0.1", "192.0.2.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::1",
    "2002:7f00:1::1", "2002:808:808::1", "2001:0:808:808::f7f7:f7f7", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1",
    "2001:db8::1", "::127.0.0.1", "100::1",
)  # fmt: skip
PUBLIC = ("8.8.8.8", "1.1.1.1", "160.79.104.10", "::ffff:8.8.8.8", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e")


@pytest.mark.parametrize("text", SHUT)
def test_an_address_that_is_not_of_the_public_internet_or_stands_for_another_is_shut(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_open(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


async def test_a_document_is_fetched_with_nothing_but_what_it_needs(site: DocumentHost) -> None:
    url = site.put("/client.json", {"a": 1}, set_cookie="a=b")
    async with site.fetcher() as fetcher:
        answers = [await fetcher.get(url, 100) for _ in range(2)]
    assert [(answer.status, answer.body, answer.headers["content-type"]) for answer in answers] == [
        (200, b'{"a": 1}', "application/json")
    ] * 2
    fields = {"host": f"{HOST}:{site.port}", "accept": "application/json", "accept-encoding": "identity", "user-agent": "wharfinger"}
    assert site.headers == [fields] * 2


@pytest.mark.parametrize("addresses", (["127.0.0.1"], ["::ffff:127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["127.0.0.1", "8.8.8.8"], []))
async def test_a_name_with_any_address_that_is_not_public_is_not_connected_to(site: DocumentHost, addresses: list[str]) -> None:
    site.addresses = addresses
    url = site.put("/client.json", {})
    async with site.fetcher(networks=()) as fetcher:
        with pytest.raises(FetchError, match="not public"):
            await fetcher.get(url, 100)
    assert site.asked == []


@pytest.mark.parametrize(
    "host", ("localhost", "127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::]")
)
async def test_no_way_to_write_this_machine_reaches_it_as_the_system_resolves_it(site: DocumentHost, host: str) -> None:
    async with Fetcher(tls=site.trust) as fetcher:
        with pytest.raises(FetchError, match="not public"):
            await fetcher.get(f"https://{host}:{site.port}/client.json", 100)
    assert site.asked == []


async def test_names_of_strangers_are_resolved_in_threads_of_their_own_that_are_few(site: DocumentHost) -> None:
    async with Fetcher(tls=site.trust) as fetcher:
        await asyncio.gather(*(fetcher.get(f"https://localhost:{site.port}/{n}", 100) for n in range(12)), return_exceptions=True)
        threads = [thread.name for thread in threading.enumerate() if thread.name.startswith("names-of-strangers")]
    assert 0 < len(threads) <= RESOLVERS
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("asyncio_")]


async def test_the_connection_goes_to_the_address_that_was_looked_at_and_the_name_is_looked_up_once(site: DocumentHost) -> None:
    url = site.put("/client.json", {})
    answers: list[Sequence[str]] = [["8.8.8.8"], ["127.0.0.1"]]
    connected: list[Sequence[str]] = []

    async def rebinding(host: str, port: int) -> Sequence[Address]:
        connected.append(answers.pop(0))
        return [ipaddress.ip_address(text) for text in connected[-1]]

    async with site.fetcher(networks=(), resolve=rebinding, seconds=0.2) as fetcher:
        with pytest.raises(FetchError):
            await fetcher.get(url, 100)
    assert connected == [["8.8.8.8"]]
    assert site.asked == []


async def test_every_connection_is_judged_anew(site: DocumentHost) -> None:
    url = site.put("/client.json", {})
    async with site.fetcher(networks=(ipaddress.ip_network("127.0.0.1/32"),)) as fetcher:
        await fetcher.get(url, 100)
        site.addresses = ["127.0.0.2"]
        with pytest.raises(FetchError, match="not public"):
            await fetcher.get(url, 100)
    assert len(site.asked) == 1


async def test_no_network_that_is_opened_opens_a_metadata_service(site: DocumentHost) -> None:
    site.addresses = ["169.254.169.254"]
    async with site.fetcher(networks=(ipaddress.ip_network("0.0.0.0/0"),)) as fetcher:
        with pytest.raises(FetchError, match="not public"):
            await fetcher.get(site.url("/"), 100)


@pytest.mark.parametrize("url", ("http://apps.example/", "file:///etc/passwd", "ftp://apps.example/", "unix:/run/a", "gopher://a", ""))
async def test_only_https_is_fetched(site: DocumentHost, url: str) -> None:
    async with site.fetcher() as fetcher:
        with pytest.raises(FetchError):
            await fetcher.get(url, 100)
    assert site.resolved == []


@pytest.mark.parametrize("status", (301, 302, 303, 307, 308))
async def test_a_redirect_is_an_answer_and_not_followed(site: DocumentHost, status: int) -> None:
    site.put("/other.json", {})
    url = site.put("/client.json", {}, status, location="/other.json")
    async with site.fetcher() as fetcher:
        assert (await fetcher.get(url, 100)).status == status
    assert site.asked == ["/client.json"]


async def test_a_proxy_of_the_environment_is_not_used(site: DocumentHost, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with site.fetcher() as fetcher:
        assert (await fetcher.get(site.put("/client.json", {}), 100)).status == 200


async def test_a_body_is_read_to_its_limit_and_no_further(site: DocumentHost) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        answer = web.StreamResponse(headers={"content-type": "application/json"})
        await answer.prepare(request)
        while True:
            await answer.write(b"a" * 1024)
            sent += 1024

    site.answers["/client.json"] = endless
    async with site.fetcher() as fetcher:
        assert (await fetcher.get(site.put("/exact.json", b"a" * 5120), 5120)).body == b"a" * 5120
        with pytest.raises(FetchError, match="more than 5120 bytes"):
            await fetcher.get(site.put("/more.json", b"a" * 5121), 5120)
        with pytest.raises(FetchError, match="more than 5120 bytes"):
            await fetcher.get(site.url("/client.json"), 5120)
    assert sent < 64 * 1024 * 1024


async def test_whoever_answers_byte_by_byte_has_no_more_time_than_others(site: DocumentHost) -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(100):
            await answer.write(b" ")
            await asyncio.sleep(0.05)
        return answer

    site.answers["/client.json"] = slow
    async with site.fetcher(seconds=0.5) as fetcher:
        with pytest.raises(FetchError, match="no whole answer within"):
            await fetcher.get(site.url("/client.json"), 5120)


async def test_a_certificate_of_nobody_is_refused(site: DocumentHost) -> None:
    async with site.fetcher(tls=None) as fetcher:
        with pytest.raises(FetchError):
            await fetcher.get(site.put("/client.json", {}), 100)
    assert site.asked == []


async def test_fetches_at_once_are_bounded_and_the_next_one_goes_when_one_has_ended(site: DocumentHost) -> None:
    go = asyncio.Event()

    async def wait(request: web.Request) -> web.StreamResponse:
        await go.wait()
        return web.Response(text="{}")

    site.answers["/client.json"] = wait
    async with site.fetcher(at_once=2) as fetcher:
        waiting = [asyncio.create_task(fetcher.get(site.url("/client.json"), 100)) for _ in range(2)]
        await eventually(lambda: len(site.asked) == 2)
        with pytest.raises(FetchError, match="too many"):
            await fetcher.get(site.url("/client.json"), 100)
        go.set()
        await asyncio.gather(*waiting)
        assert (await fetcher.get(site.url("/client.json"), 100)).status == 200
