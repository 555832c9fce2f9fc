"""Rules and dashboard ask for metrics that there are."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from prometheus_client import CollectorRegistry

from chart import of_kind, render
from wharfinger_cluster.resource import Object
from wharfinger_gateway.oauth_answers import OAuthAnswers
from wharfinger_gateway.telemetry import Telemetry as GatewayTelemetry
from wharfinger_operator.telemetry import Telemetry as OperatorTelemetry

ON = {"monitoring": {part: {"enabled": True} for part in ("podMonitor", "rules", "dashboard")}}
SCRAPED = {"namespace", "pod"}
"""Labels that Prometheus adds."""


def series() -> dict[str, set[str]]:
    """The time series of both programs, with their labels."""
    operator, gateway = OperatorTelemetry(), GatewayTelemetry(lambda _: None)
    gateway.watch_age(lambda: 0.0)
    gateway.registry.register(OAuthAnswers().counter)
    return {**_of(operator.registry), **_of(gateway.registry)}


def _of(registry: CollectorRegistry) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for collector, names in registry._collector_to_names.items():  # the only place that has labels of series without samples
        own = [collector] if hasattr(collector, "_labelnames") else list(collector.collect())
        for name in names:
            (labels,) = [set(one._labelnames) for one in own if len(own) == 1 or name.startswith(one.name)]  # type: ignore[union-attr]
            found[name] = labels | ({"le"} if name.endswith("_bucket") else set())
    return found


def expressions(helm: Path) -> Iterator[str]:
    manifests = render(helm, ON)
    (rules,) = of_kind(manifests, "PrometheusRule")
    yield from (rule["expr"] for group in rules["spec"]["groups"] for rule in group["rules"])
    (board,) = [m for m in of_kind(manifests, "ConfigMap") if m["metadata"]["name"] == "wharfinger-dashboard"]
    for panel in json.loads(board["data"]["wharfinger.json"])["panels"]:
        yield from (target["expr"].replace("$namespace", "x") for target in panel["targets"])


def selectors(node: Any) -> Iterator[promql_parser.VectorSelector]:
    """Every selector in an expression."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for part in ("lhs", "rhs", "expr", "vector_selector", "param"):
        if (child := getattr(node, part, None)) is not None:
            yield from selectors(child)
    for child in getattr(node, "args", None) or ():
        yield from selectors(child)


@pytest.mark.requirement("OPS-2")
def test_every_expression_is_promql_and_asks_for_series_and_labels_that_there_are(helm: Path) -> None:
    known = series()
    asked = 0
    for expression in expressions(helm):
        found = list(selectors(promql_parser.parse(expression)))
        assert found, expression
        labels = set(SCRAPED)
        for selector in found:
            assert selector.name in known, f"{selector.name} in {expression}"
            labels |= known[selector.name]
            assert {matcher.name for matcher in selector.matchers.matchers} <= SCRAPED | known[selector.name], expression
            asked += 1
        for grouped in re.findall(r" by \(([^)]*)\)", expression):
            assert {label.strip() for label in grouped.split(",")} <= labels, expression
    assert asked > 20


def test_an_alert_says_what_it_means_and_what_to_do(helm: Path) -> None:
    (rules,) = of_kind(render(helm, ON), "PrometheusRule")

    for rule in rules["spec"]["groups"][0]["rules"]:
        assert rule["annotations"].keys() == {"summary", "action"}, rule["alert"]
        assert rule["labels"]["severity"] in {"warning", "critical"}
        for label in re.findall(r"\{\{ \$labels\.(\w+) \}\}", json.dumps(rule["annotations"])):
            assert re.search(rf" by \([^)]*\b{label}\b", rule["expr"]), rule["alert"]


@pytest.mark.requirement("OPS-2")
def test_the_monitor_finds_the_port_on_which_both_programs_show_their_metrics(helm: Path) -> None:
    manifests = render(helm, ON)
    (monitor,) = of_kind(manifests, "PodMonitor")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]

    for labels, ports in programs(manifests):
        assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert endpoint["port"] in ports


@pytest.mark.requirement("OPS-2")
def test_the_monitor_of_a_service_finds_them_too_by_one_that_has_no_address_and_leads_nowhere_else(helm: Path) -> None:
    manifests = render(helm, {"monitoring": {"serviceMonitor": {"enabled": True}}})
    (monitor,) = of_kind(manifests, "ServiceMonitor")
    (endpoint,) = monitor["spec"]["endpoints"]
    chosen = monitor["spec"]["selector"]["matchLabels"].items()
    (service,) = [one for one in of_kind(manifests, "Service") if chosen <= one["metadata"]["labels"].items()]
    (port,) = service["spec"]["ports"]

    assert service["spec"]["clusterIP"] == "None"
    assert (endpoint["port"], endpoint["path"]) == (port["name"], "/metrics")
    for labels, ports in programs(manifests):
        assert service["spec"]["selector"].items() <= labels.items()
        assert ports[port["targetPort"]] == port["port"]


def programs(manifests: list[Object]) -> Iterator[tuple[dict[str, str], dict[str, int]]]:
    """The labels of each program's pods, and their ports by name."""
    for deployment in of_kind(manifests, "Deployment"):
        template = deployment["spec"]["template"]
        ports = template["spec"]["containers"][0]["ports"]
        yield template["metadata"]["labels"], {port["name"]: port["containerPort"] for port in ports}
