"""What an environment allows its servers to run, on a real API server."""

from functools import partial
from typing import Any

import pytest

from operator_platform import Platform, until
from operator_process import OperatorProcess
from wharfinger_crds.kinds import ENVIRONMENT, INSTALLATION, REGISTRY_ENTRY

pytestmark = pytest.mark.requirement("ENV-1")
NOWHERE = {"nodeSelector": {"wharfinger.dev/test": "nowhere"}}


async def allow(platform: Platform, **images: Any) -> None:
    spec = {"title": "X", "podDefaults": NOWHERE, "egress": {"mode": "DenyAll"}, **images}
    await platform.apply(ENVIRONMENT, f"env-{platform.mark}", spec)


async def install(platform: Platform, **hosted: Any) -> None:
    whole = {"command": ["server"], "transport": "Stdio", **hosted}
    spec = {"title": "X", "type": "SelfHosted", "selfHosted": whole, "environmentRef": {"name": f"env-{platform.mark}"}}
    await platform.apply(REGISTRY_ENTRY, f"entry-{platform.mark}", spec)
    await platform.apply(INSTALLATION, "time", {"entryRef": {"name": f"entry-{platform.mark}"}, "owner": {"team": "engineering"}})


async def is_refused(platform: Platform, words: str) -> bool:
    ready = await platform.ready(INSTALLATION, "time")
    return (ready.get("status"), ready.get("reason")) == ("False", "ImageNotAllowed") and words in ready["message"]


async def runs(platform: Platform, image: str) -> bool:
    found = [o["spec"]["template"]["spec"]["containers"][0]["image"] for o in await platform.children() if o["kind"] == "Deployment"]
    return found == [image]


async def test_an_image_that_the_environment_does_not_allow_runs_nowhere_until_it_does(
    platform: Platform, operator: OperatorProcess
) -> None:
    await allow(platform, allowedImages=["ghcr.io/acme/*"])
    await install(platform, image="ghcr.io/other/server:1")
    await until(partial(is_refused, platform, "does not allow image ghcr.io/other/server:1; it allows: ghcr.io/acme/*"))
    assert await platform.children() == []

    await allow(platform, allowedImages=["ghcr.io/acme/*", "ghcr.io/other/server"])

    await until(partial(runs, platform, "ghcr.io/other/server:1"))


async def test_the_base_image_runs_where_the_environment_allows_it(platform: Platform, operator: OperatorProcess) -> None:
    await allow(platform, allowBaseImage=False)
    await install(platform)
    await until(partial(is_refused, platform, "does not allow the base image (allowBaseImage: false)"))
    assert await platform.children() == []

    await allow(platform, allowBaseImage=True)

    await until(partial(runs, platform, "localhost/wharfinger-server-base:dev"))
