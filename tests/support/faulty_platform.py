"""A platform behind the faulty proxy: what tests of faults ask of it, and which requests they mean."""

from dataclasses import replace
from pathlib import Path

import yaml

from faulty_proxy import FaultyProxy, Which, anything
from operator_platform import Platform
from wharfinger_crds.kinds import INSTALLATION

CHILDREN = 7
SECONDS = 60.0


def behind_proxy(platform: Platform, proxy: FaultyProxy, kubeconfig: Path) -> Platform:
    """Return the platform, whose operators see the API server through the proxy; the test itself does not."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "proxy", "cluster": {"server": proxy.url}}],
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "nobody"}}],
        "users": [{"name": "nobody", "user": {}}],
        "current-context": "proxy",
    }
    kubeconfig.write_text(yaml.safe_dump(document))
    return replace(platform, kubeconfig=str(kubeconfig))


async def complete(platform: Platform, *installed: str) -> bool:
    """Tell whether these installations have all their children and a status, and there is nothing else."""
    reported = [await platform.ready(INSTALLATION, name) for name in installed]
    return all(reported) and len(await platform.children()) == CHILDREN * len(installed)


def of(plural: str, which: Which = anything) -> Which:
    return lambda request: f"/{plural}" in request.path and which(request)
