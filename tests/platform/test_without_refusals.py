"""What the tests before had the installed operator do, it had the rights to do. This file is the last by its name, so that they are before."""

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from platform_cluster import SYSTEM, PlatformCluster
from quickstart.forward import forwarded

PORT = 8081


def requests(platform: PlatformCluster, pod: str) -> dict[str, float]:
    """How many requests an operator has made since it began, in words."""
    with forwarded(platform.node.kubectl, platform.node.kubeconfig, SYSTEM, f"pod/{pod}", PORT) as port:
        page = httpx2.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    return {
        " ".join(s.labels[label] for label in ("verb", "resource", "status")): s.value
        for s in samples
        if s.name == "wharfinger_api_requests_total"
    }


@pytest.mark.requirement("OPS-2")
def test_the_api_server_has_refused_the_operator_nothing(platform: PlatformCluster) -> None:
    pods = platform.get("pods", "-n", SYSTEM, "-l", "app.kubernetes.io/component=operator")["items"]
    made = {what: count for pod in pods for what, count in requests(platform, pod["metadata"]["name"]).items()}

    assert made.get("apply deployments 200", 0) + made.get("apply deployments 201", 0) > 0
    # A namespace that is just ending refuses everybody's events.
    assert {what for what in made if what.endswith(" 403")} <= {"create events 403"}
