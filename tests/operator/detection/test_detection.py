"""Who enforces egress rules in which cluster, and what is said about it."""

from pathlib import Path

import pytest

from cluster_manifests import cluster_facts, question
from golden import Golden, cases, manifests
from wharfinger_operator.plan.detection.order import detect
from wharfinger_operator.plan.detection.resolution import ProviderResolution


def resolved(case: Path) -> ProviderResolution:
    documents = manifests(case)
    asked = question(documents)
    return detect(cluster_facts(documents), asked.get("provider", "Auto"), asked.get("nodeSelector", {}))


@pytest.mark.requirement("ENV-5")
def test_a_cluster_is_resolved_to_a_provider_and_says_why(case: Path, golden: Golden) -> None:
    found = resolved(case)

    golden({
        "name": found.name, "source": found.source, "evidence": list(found.evidence),
        **{f.type: {"status": f.status, "reason": f.reason, "message": f.message} for f in (found.egress, found.domains)},
    })  # fmt: skip


def test_no_settings_of_any_cluster_prove_that_rules_are_enforced() -> None:
    found = [resolved(case) for case in cases(__file__)]

    assert len(found) > 40
    assert [r for r in found if "True" in {r.egress.status, r.domains.status}] == []


def test_what_cannot_be_read_leads_to_the_base_layer_and_is_named() -> None:
    for case in cases(__file__):
        unread = question(manifests(case)).get("unread", ())
        found = resolved(case)
        if unread:
            assert found.name == "NetworkPolicy", case.name
            assert found.domains.status == "Unknown", case.name
            assert any(read in found.domains.message for read in unread), case.name


def test_evidence_fits_into_a_status() -> None:
    for case in cases(__file__):
        evidence = resolved(case).evidence
        assert len(evidence) <= 16
        assert all(0 < len(sentence) <= 253 for sentence in evidence), case.name
