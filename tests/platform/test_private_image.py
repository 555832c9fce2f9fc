"""An image that the kubelet gets from a registry on this machine, which wants a login."""

import json
from pathlib import Path
from typing import Any

import pytest

from image_registry_process import PASSWORD, USER, Registry, registry_with_password
from local_cluster import images
from platform_cluster import TENANT, PlatformCluster, entry, installation
from wharfinger_crds import names

CATALOG = "wharfinger-catalog"
IMAGE = "localhost/distroless-server:test"


def secret(name: str, kind: str, **data: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": CATALOG, "labels": {names.USABLE: "true"}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "stringData": data}


def pull_secret(registry: Registry, password: str) -> dict[str, Any]:
    document = json.dumps({"auths": {registry.host: {"username": USER, "password": password}}})
    return secret("private", "kubernetes.io/dockerconfigjson", **{".dockerconfigjson": document})


def account(_: Registry, password: str) -> dict[str, Any]:
    return secret("private", "Opaque", username=USER, password=password)


@pytest.mark.requirement("ORC-4")
@pytest.mark.parametrize("given", [pull_secret, account], ids=["imagePullSecrets", "registryCredentials"])
async def test_a_private_image_runs_once_the_login_is_right(given: Any, platform: PlatformCluster, tmp_path: Path) -> None:
    (built,) = images.build([IMAGE])
    async with registry_with_password(tmp_path) as registry:
        await registry.push_archive("acme/server", "1", built.archive)
        credentials = [{"server": registry.host, "secretRef": {"name": "private"}}]
        login = {"imagePullSecrets": [{"name": "private"}]} if given is pull_secret else {"registryCredentials": credentials}
        hosted = {"image": f"{registry.host}/acme/server:1", "command": ["/stdio-server"], "transport": "Stdio", **login}
        platform.apply(given(registry, "wrong"), entry("private", **hosted), installation("private", "private"))
        try:
            platform.until(lambda: reason(platform) == "ImagePullFailed", explain=lambda: str(platform.status("private")))

            platform.apply(given(registry, PASSWORD))

            # The kubelet tries again after ten seconds, twenty and so on.
            found = platform.ready("mcpinstallation", "private", TENANT, 120)
            assert found["status"]["tools"]["names"] == ["echo"]
        finally:
            platform.remove("private")
            platform.run("delete", "secret", "private", "-n", CATALOG)


def reason(platform: PlatformCluster) -> str:
    found: dict[str, str] = {c["type"]: c["reason"] for c in platform.status("private").get("conditions", ())}
    return found.get("Ready", "")
