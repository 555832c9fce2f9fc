"""Logs, where the platform settings are wrong."""

from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from operator_platform import Platform
from wharfinger_cluster.connection import Login
from wharfinger_cluster.resource import CONFIG_MAP, SERVICE_ACCOUNT, Object, Resource
from wharfinger_crds import names
from wharfinger_crds.kinds import INSTALLATION
from wharfinger_operator.logs import LogEndpoint

RBAC = "rbac.authorization.k8s.io"
READER = "reader"


async def token(admin: Login, platform: Platform) -> str:
    """Return a token of somebody who may read the logs of the tenant namespace."""
    where = {"name": READER, "namespace": platform.spaces.tenant}
    rule = {"apiGroups": [names.GROUP], "resources": [f"{INSTALLATION.plural}/log"], "verbs": ["get"]}
    binding = {"roleRef": {"apiGroup": RBAC, "kind": "Role", "name": READER}, "subjects": [{"kind": "ServiceAccount", **where}]}
    made: list[tuple[Resource, Object]] = [
        (SERVICE_ACCOUNT, {}),
        (Resource(RBAC, "v1", "roles", "Role"), {"rules": [rule]}),
        (Resource(RBAC, "v1", "rolebindings", "RoleBinding"), binding),
    ]
    for resource, body in made:
        await platform.cluster.create(resource, {"metadata": where, **body})
    path = f"/api/v1/namespaces/{platform.spaces.tenant}/serviceaccounts/{READER}/token"
    async with admin.session() as session, session.post(f"{admin.server}{path}", json={"kind": "TokenRequest", "spec": {}}) as answer:
        found: dict[str, Any] = await answer.json()
    return str(found["status"]["token"])


@pytest.mark.requirement("INS-9")
async def test_a_log_is_refused_with_the_fault_where_the_platform_settings_are_wrong(platform: Platform, admin: Login) -> None:
    await platform.install()
    bearer = await token(admin, platform)
    settings = {"data": {names.SETTINGS_KEY: "publicUrl: https://mcp.acme.dev\nnamespaces: {system: elsewhere}"}}
    await platform.cluster.patch(CONFIG_MAP, names.SETTINGS_CONFIGMAP, settings, platform.spaces.system)
    endpoint = LogEndpoint(platform.cluster, platform.spaces.system)

    async with TestClient(TestServer(endpoint.application())) as client:
        answer = await client.get(f"/v1/logs/{platform.spaces.tenant}/time", headers={"Authorization": f"Bearer {bearer}"})

        assert answer.status == 500
        assert "platform settings" in await answer.text()
