"""Requests over kept connections, to servers that say what they like."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509

from certificate import self_signed
from wharfinger_cluster import http_pool
from wharfinger_cluster.client import Cluster
from wharfinger_cluster.connection import Login
from wharfinger_cluster.errors import LoginError
from wharfinger_cluster.http_pool import ClosedError, HttpPool, NoAnswerError
from wharfinger_cluster.resource import NAMESPACE

CUT = b""
"""In place of an answer: the connection is closed."""
Script = Callable[[int, int], bytes]
"""What is answered, by the number of the connection and of the request on it, both from 0."""


def answer(body: bytes, *fields: str, status: str = "200 OK") -> bytes:
    head = "".join(f"{field}\r\n" for field in (f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(body)}"))
    return f"{head}\r\n".encode() + body


class Server:
    """A server that follows a script."""

    def __init__(self, script: Script) -> None:
        self.url = ""
        self.heads: list[str] = []
        self.connections = 0
        self._script = script

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, self.connections = self.connections, self.connections + 1
        request = 0
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next((int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length")), 0)
                await reader.readexactly(length)
                self.heads.append(head)
                said = self._script(number, request)
                request += 1
                writer.write(said)
                await writer.drain()
                if said == CUT or b"Connection: close" in said or b"Content-Length" not in said:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    made = Server(script)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls)
    made.url = f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield made
    server.close()


@asynccontextmanager
async def pool_of(login: Login) -> AsyncIterator[HttpPool]:
    made = HttpPool(login)
    yield made
    made.close()


async def test_requests_that_follow_each_other_share_a_connection() -> None:
    async with serving(lambda _, request: answer(b"%d" % request)) as server, pool_of(Login(server=server.url)) as pool:
        assert [(await pool.ask("GET", "/a")).body for _ in range(3)] == [b"0", b"1", b"2"]
        assert server.connections == 1


async def test_a_read_on_a_connection_that_the_server_had_closed_is_sent_again() -> None:
    async with serving(lambda _, request: CUT if request else answer(b"x")) as server, pool_of(Login(server=server.url)) as pool:
        await pool.ask("GET", "/a")

        assert (await pool.ask("GET", "/a")).body == b"x"
        assert len(server.heads) == 3


async def test_a_write_is_never_sent_again() -> None:
    async with serving(lambda _, request: CUT if request else answer(b"x")) as server, pool_of(Login(server=server.url)) as pool:
        await pool.ask("GET", "/a")

        with pytest.raises(ClosedError):
            await pool.ask("PATCH", "/a", b"{}", "application/json")
        assert len(server.heads) == 2


async def test_a_read_is_not_sent_again_where_the_connection_was_new() -> None:
    async with serving(lambda _, __: CUT) as server, pool_of(Login(server=server.url)) as pool:
        with pytest.raises(ClosedError):
            await pool.ask("GET", "/a")
        assert len(server.heads) == 1


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length : 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n",
        b"HTTP/1.1 200",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    ],
)
async def test_what_is_not_the_whole_of_an_answer_is_none(said: bytes) -> None:
    async with serving(lambda _, __: said) as server, pool_of(Login(server=server.url)) as pool:
        with pytest.raises(NoAnswerError):
            await pool.ask("GET", "/a")
        assert len(server.heads) == 1


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"whole"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nwh\r\n3\r\nole\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nwhole",
    ],
)
async def test_an_answer_is_whole_however_its_end_is_told(said: bytes) -> None:
    async with serving(lambda _, __: said) as server, pool_of(Login(server=server.url)) as pool:
        assert (await pool.ask("GET", "/a")).body == b"whole"


@pytest.mark.parametrize("said", [answer(b"x", "Connection: close"), answer(b"x") + answer(b"nobody's")])
async def test_a_connection_that_is_to_end_or_says_more_than_was_asked_is_not_used_again(said: bytes) -> None:
    async with serving(lambda _, __: said) as server, pool_of(Login(server=server.url)) as pool:
        assert [(await pool.ask("GET", "/a")).body for _ in range(2)] == [b"x", b"x"]
        assert server.connections == 2


async def test_the_answer_to_a_request_that_was_given_up_is_nobodys() -> None:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    asked = asyncio.Event()
    async with await asyncio.start_server(hold, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with pool_of(Login(server=url)) as pool:
            first = asyncio.create_task(pool.ask("GET", "/a"))
            await asked.wait()
            asked.clear()
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            second = asyncio.create_task(pool.ask("GET", "/a"))
            async with asyncio.timeout(5):
                await asked.wait()  # on a connection of its own
            second.cancel()
            await asyncio.gather(second, return_exceptions=True)


async def test_a_connection_that_nobody_needed_for_long_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_pool, "IDLE_SECONDS", 0.0)
    async with serving(lambda _, __: answer(b"x")) as server, pool_of(Login(server=server.url)) as pool:
        await pool.ask("GET", "/a")
        await pool.ask("GET", "/a")
        assert server.connections == 2


async def test_an_answer_that_does_not_come_is_waited_for_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_pool, "SECONDS", 0.05)
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
    async with serving(lambda _, __: half) as server, pool_of(Login(server=server.url)) as pool:
        with pytest.raises(TimeoutError, match="no answer within"):
            await pool.ask("GET", "/a")


async def test_an_answer_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_pool, "ANSWER_LIMIT", 3)
    async with serving(lambda _, __: answer(b"four")) as server, pool_of(Login(server=server.url)) as pool:
        with pytest.raises(NoAnswerError, match="more than 3 bytes"):
            await pool.ask("GET", "/a")


async def test_a_request_says_who_asks_under_the_path_of_the_server() -> None:
    async def credential() -> str:
        return "Bearer t"

    async with (
        serving(lambda _, __: answer(b"x", "Retry-After: 7", status="429 Too Many")) as server,
        pool_of(Login(server=f"{server.url}/clusters/a/", authorization=credential)) as pool,
    ):
        found = await pool.ask("POST", "/api?x=1", b"{}", "application/json")

    assert found == (429, {"Retry-After": "7"}, b"x")
    assert server.heads[0].splitlines()[:6] == [
        "POST /clusters/a/api?x=1 HTTP/1.1",
        f"Host: {server.url.removeprefix('http://')}",
        "User-Agent: wharfinger",
        "Accept: */*",
        "Authorization: Bearer t",
        "Content-Type: application/json",
    ]


@pytest.mark.parametrize("credential", ["Bearer a\r\nImpersonate-User: admin", "Bearer ä"])
async def test_a_credential_that_is_no_header_value_is_not_sent(credential: str) -> None:
    async def authorization() -> str:
        return credential

    async with serving(lambda _, __: answer(b"x")) as server, pool_of(Login(server=server.url, authorization=authorization)) as pool:
        with pytest.raises(LoginError) as refused:
            await pool.ask("GET", "/a")
    assert "Bearer" not in str(refused.value)
    assert server.connections == 0


@pytest.mark.parametrize("server", ["https://[::1", "api.example.com:6443", "https://"])
async def test_an_address_that_is_no_url_is_refused(server: str) -> None:
    with pytest.raises(LoginError, match="address is no URL"):
        HttpPool(Login(server=server))


async def test_the_certificate_must_be_for_the_name_that_the_login_says(tmp_path: Path) -> None:
    certificate, key = self_signed(x509.DNSName("api.acme.dev"))
    (tmp_path / "tls.pem").write_text(certificate + key.decode())
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "tls.pem")
    trusting = ssl.create_default_context(cadata=certificate)
    async with serving(lambda _, __: answer(b"x"), tls) as server:
        async with pool_of(Login(server=server.url, tls=trusting, tls_server_name="api.acme.dev")) as pool:
            assert (await pool.ask("GET", "/a")).body == b"x"
        async with pool_of(Login(server=server.url, tls=trusting)) as pool:
            with pytest.raises(ssl.SSLCertVerificationError):
                await pool.ask("GET", "/a")


async def test_where_the_login_names_a_proxy_requests_go_through_it() -> None:
    async with (
        serving(lambda _, __: answer(b'{"kind":"Namespace","metadata":{"name":"default"}}')) as proxy,
        Cluster(Login(server="http://api.acme.dev:6443", proxy=proxy.url)) as cluster,
    ):
        assert (await cluster.get(NAMESPACE, "default"))["metadata"]["name"] == "default"
    assert proxy.heads[0].startswith("GET http://api.acme.dev:6443/api/v1/namespaces/default HTTP/1.1")
