"""What tests of the authorization server start from."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

import document_host
from document_host import DocumentHost
from hostile_identity_provider import HostileIdentityProvider, hostile_identity_provider
from identity_provider_process import IdentityProviderProcess, identity_provider


@pytest.fixture
async def site() -> AsyncIterator[DocumentHost]:
    async with document_host.document_host() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


@pytest.fixture
async def hostile() -> AsyncIterator[HostileIdentityProvider]:
    async with hostile_identity_provider() as running:
        yield running


@pytest.fixture(scope="session")
def real() -> Iterator[IdentityProviderProcess]:
    with identity_provider() as running:
        yield running
