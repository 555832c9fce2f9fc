"""TLS to servers: whose certificate is trusted."""

import asyncio
import ipaddress
import ssl
from asyncio import StreamReader, StreamWriter
from pathlib import Path

import pytest
from cryptography import x509

from certificate import self_signed
from scripted_server import OK, ask, take_request
from wharfinger_mcp.endpoint import Address, parse_endpoint
from wharfinger_mcp.errors import MisconfiguredError, UnreachableError
from wharfinger_mcp.http_client import HttpClient


@pytest.fixture(scope="module")
def localhost(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    certificate, key = self_signed(x509.DNSName("localhost"))
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    file.write_bytes(certificate.encode() + key)
    return certificate, file


async def serve(file: Path) -> asyncio.Server:
    async def script(reader: StreamReader, writer: StreamWriter) -> None:
        try:
            while True:
                await take_request(reader)
                writer.write(OK)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return await asyncio.start_server(script, "127.0.0.1", 0, ssl=context)


async def test_a_server_is_trusted_by_its_own_ca_and_its_connection_used_again(client: HttpClient, localhost: tuple[str, Path]) -> None:
    async with await serve(localhost[1]) as server:
        port = server.sockets[0].getsockname()[1]
        endpoint = parse_endpoint(f"https://localhost:{port}/", ca_bundle=localhost[0])
        assert await ask(client, endpoint) == b"ok"
        assert await ask(client, endpoint) == b"ok"
        assert len(client._origins) == 1
        await client.close()


async def test_a_server_of_an_unknown_ca_is_refused_with_the_way_out(client: HttpClient, localhost: tuple[str, Path]) -> None:
    async with await serve(localhost[1]) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(UnreachableError, match=r"certificate is not trusted .*: name its CA"):
            await ask(client, parse_endpoint(f"https://localhost:{port}/"))


async def test_a_certificate_for_another_name_is_refused(client: HttpClient, localhost: tuple[str, Path]) -> None:
    async with await serve(localhost[1]) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(UnreachableError, match="certificate is not trusted"):
            await ask(client, parse_endpoint(f"https://127.0.0.1:{port}/", ca_bundle=localhost[0]))


async def test_the_name_is_checked_although_the_connection_is_made_to_an_address(localhost: tuple[str, Path]) -> None:
    async def resolve(host: str, port: int) -> tuple[Address, ...]:
        return (ipaddress.ip_address("127.0.0.1"),)

    async with await serve(localhost[1]) as server:
        port = server.sockets[0].getsockname()[1]
        client = HttpClient(resolve=resolve)
        assert await ask(client, parse_endpoint(f"https://localhost:{port}/", ca_bundle=localhost[0])) == b"ok"
        await client.close()


def test_with_a_ca_bundle_no_other_ca_is_trusted(localhost: tuple[str, Path]) -> None:
    assert HttpClient()._tls_context(localhost[0]).cert_store_stats()["x509_ca"] == 1


async def test_plain_http_behind_an_https_url_is_named(client: HttpClient) -> None:
    async def script(reader: StreamReader, writer: StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(script, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(UnreachableError, match="is it http:// rather than https://"):
            await ask(client, parse_endpoint(f"https://127.0.0.1:{port}/"))


async def test_a_ca_bundle_without_certificate_is_a_configuration_fault(client: HttpClient) -> None:
    for bundle in ("", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        with pytest.raises(MisconfiguredError, match="holds no PEM certificate"):
            await ask(client, parse_endpoint("https://localhost:1/", ca_bundle=bundle))
