"""A real image registry on the loopback interface, which wants a login, and images pushed to it over plain HTTP."""

import asyncio
import hashlib
import io
import json
import platform
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from free_port import free_port
from local_cluster import cache
from local_cluster.progress import LaunchError, say

USER, PASSWORD = "robot", "planted-registry-password"
_HTPASSWD = f"{USER}:$2y$05$abcdefghijklmnopqrstuu7.Rffb/e3GvgNr9ynXYVmPMI0ht.mgC\n"
"""bcrypt of PASSWORD, the only hash that the registry reads."""
OCI, DOCKER = "application/vnd.oci.image.", "application/vnd.docker."


def program() -> Path:
    """Return the registry's program: that on the path, else Debian's package unpacked in the cache; installed, it would run as a service.

    Raises LaunchError where this machine's package manager is another.
    """
    if found := shutil.which("docker-registry"):
        return Path(found)
    return cache.obtain("docker-registry", cache.key(["docker-registry", platform.machine()]), _unpack) / "usr/bin/docker-registry"


def _unpack(folder: Path) -> None:
    if not shutil.which("apt-get"):
        raise LaunchError("docker-registry is missing, and there is no apt-get to get it with")
    say("unpacking the Debian package docker-registry (apt-get download)")
    with tempfile.TemporaryDirectory() as download:
        for command in (
            ["apt-get", "download", "docker-registry"],
            ["apt-get", "update", "-q"],
            ["apt-get", "download", "docker-registry"],
        ):
            done = subprocess.run(command, cwd=download, capture_output=True, text=True, check=False)
            if packages := list(Path(download).glob("*.deb")):
                subprocess.run(["dpkg-deb", "-x", str(packages[0]), str(folder)], check=True)
                return
    raise LaunchError(f"apt-get download docker-registry failed:\n{done.stderr.strip()[-2000:]}")


def digest_of(content: bytes) -> str:
    """Return the name of a content."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class Registry:
    """A running registry."""

    port: int
    headers: dict[str, str] = field(repr=False)
    """With which images are pushed."""

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def push(self, repository: str, tag: str, config: Mapping[str, Any], family: str = OCI, architecture: str = "amd64") -> str:
        """Push an image without layers, and return its manifest's digest."""
        document = json.dumps(
            {"os": "linux", "architecture": architecture, "config": config, "rootfs": {"type": "layers", "diff_ids": []}}
        ).encode()
        config_type = f"{OCI}config.v1+json" if family == OCI else f"{DOCKER}container.image.v1+json"
        descriptor = {"mediaType": config_type, **await self._blob(repository, document)}
        manifest_type = f"{OCI}manifest.v1+json" if family == OCI else f"{DOCKER}distribution.manifest.v2+json"
        return await self._manifest(repository, tag, {"schemaVersion": 2, "mediaType": manifest_type, "config": descriptor, "layers": []})

    async def push_archive(self, repository: str, tag: str, archive: Path) -> str:
        """Push the one image of an OCI layout, with its layers, and return its manifest's digest.

        It becomes an image of its own: a kubelet that has pulled one with a login lets nobody without it use that again, by whatever name.
        """
        with tarfile.open(archive) as layout:
            blobs = {member.name: layout.extractfile(member) for member in layout.getmembers() if member.isfile()}
            contents = {name: blob.read() for name, blob in blobs.items() if blob}

        def named(descriptor: Mapping[str, Any]) -> bytes:
            return contents[f"blobs/{descriptor['digest'].replace(':', '/')}"]

        (described,) = json.loads(contents["index.json"])["manifests"]
        manifest = json.loads(named(described))
        config = json.loads(named(manifest["config"])) | {"author": self.host}
        manifest["config"] |= await self._blob(repository, json.dumps(config).encode())
        for part in manifest["layers"]:
            await self._blob(repository, named(part))
        return await self._manifest(repository, tag, {"mediaType": described["mediaType"], **manifest})

    async def push_index(self, repository: str, tag: str, parts: Sequence[tuple[str, str]], family: str = OCI) -> str:
        """Push an index of (architecture, digest of a manifest), and return its digest."""
        manifest_type = f"{OCI}manifest.v1+json" if family == OCI else f"{DOCKER}distribution.manifest.v2+json"
        entries = [
            {"mediaType": manifest_type, "digest": digest, "size": 1, "platform": {"os": "linux", "architecture": architecture}}
            for architecture, digest in parts
        ]
        index_type = f"{OCI}index.v1+json" if family == OCI else f"{DOCKER}distribution.manifest.list.v2+json"
        return await self._manifest(repository, tag, {"schemaVersion": 2, "mediaType": index_type, "manifests": entries})

    async def _blob(self, repository: str, content: bytes) -> dict[str, Any]:
        """Push a content, and return what describes it in a manifest, but for its type."""
        digest = digest_of(content)
        async with aiohttp.ClientSession(headers=self.headers) as session:
            async with session.post(f"http://{self.host}/v2/{repository}/blobs/uploads/") as begun:
                assert begun.status == 202, await begun.text()
                location = begun.headers["Location"]
            async with session.put(f"{location}&digest={digest}", data=io.BytesIO(content)) as done:
                assert done.status == 201, await done.text()
        return {"digest": digest, "size": len(content)}

    async def _manifest(self, repository: str, tag: str, document: Mapping[str, Any]) -> str:
        content = json.dumps(document).encode()
        headers = {**self.headers, "Content-Type": document["mediaType"]}
        url = f"http://{self.host}/v2/{repository}/manifests/{tag}"
        async with aiohttp.ClientSession(headers=headers) as session, session.put(url, data=content) as done:
            assert done.status == 201, await done.text()
        return digest_of(content)


@asynccontextmanager
async def running_registry(folder: Path, headers: dict[str, str], auth: Mapping[str, Any]) -> AsyncIterator[Registry]:
    """Run a registry with that part of its configuration; end it afterwards."""
    port = free_port()
    configuration = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": "planted"},
        "auth": auth,
    }
    path = folder / "registry.yaml"
    path.write_text(yaml.safe_dump(configuration))
    with (folder / "registry.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(str(program()), "serve", str(path), stdout=log, stderr=log)
    try:
        async with aiohttp.ClientSession() as session, asyncio.timeout(15):
            while not await _answers(session, port):
                assert process.returncode is None, (folder / "registry.log").read_text()
                await asyncio.sleep(0.05)
        yield Registry(port, headers)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _answers(session: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with session.get(f"http://127.0.0.1:{port}/v2/") as answer:
            return answer.status in {200, 401}
    except aiohttp.ClientError:
        return False


@asynccontextmanager
async def registry_with_password(folder: Path) -> AsyncIterator[Registry]:
    """Run a registry that lets USER in with PASSWORD, and nobody else."""
    (folder / "htpasswd").write_text(_HTPASSWD)
    headers = {"Authorization": aiohttp.encode_basic_auth(USER, PASSWORD)}
    async with running_registry(folder, headers, {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}) as registry:
        yield registry
