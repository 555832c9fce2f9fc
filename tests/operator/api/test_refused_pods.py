"""Pods that the cluster does not let be made: its own controllers say so, and need no node for it."""

from functools import partial
from typing import Any

import pytest

from operator_platform import Platform, until
from operator_process import OperatorProcess
from wharfinger_cluster.resource import Resource
from wharfinger_crds.kinds import INSTALLATION

LIMIT_RANGE = Resource("", "v1", "limitranges", "LimitRange")
SMALL = {"limits": [{"type": "Container", "max": {"memory": "1Mi"}}]}


async def is_said(platform: Platform, words: str) -> str:
    ready = await platform.ready(INSTALLATION, "time")
    return str(ready["message"]) if ready.get("reason") == "PodsRefused" and words in ready["message"] else ""


async def phase(platform: Platform) -> Any:
    return (await platform.get(INSTALLATION, "time") or {}).get("status", {}).get("phase")


@pytest.mark.requirement("INS-6")
async def test_pods_that_the_cluster_refuses_are_an_error_in_its_words_until_it_takes_them(
    platform: Platform, operator: OperatorProcess
) -> None:
    await platform.cluster.create(LIMIT_RANGE, {"metadata": {"name": "small", "namespace": platform.spaces.servers}, "spec": SMALL})
    await platform.install()

    message = await until(partial(is_said, platform, "the cluster refuses the pod: "))

    assert "maximum memory usage per Container is 1Mi" in message
    # Another at each attempt.
    assert "mcp-time" not in message
    assert await phase(platform) == "Error"

    await platform.cluster.delete(LIMIT_RANGE, "small", platform.spaces.servers)

    async def are_made() -> bool:
        return (await platform.ready(INSTALLATION, "time")).get("reason") in {"Progressing", "Unschedulable"}

    await until(are_made)
