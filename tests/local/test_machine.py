"""On which machines the cluster refuses to start."""

from dataclasses import replace

import pytest

from local_cluster.machine import Machine, refusal

FIT = Machine("Linux", is_root=True, routes=("192.0.2.0/24", "172.17.0.0/16"))


def test_a_machine_with_nothing_in_the_way_is_fit() -> None:
    assert refusal(FIT) is None


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        (replace(FIT, system="Darwin"), "this is Darwin"),
        (replace(FIT, is_root=False), "needs root"),
        (replace(FIT, foreign=("kubelet (pid 12)",)), "kubelet (pid 12)"),
        (replace(FIT, taken_ports=(6443, 2379)), "port 6443, 2379"),
        (replace(FIT, routes=("10.244.7.0/24",)), "10.244.7.0/24 overlaps with the cluster's 10.244.0.0/16"),
        (replace(FIT, routes=("10.0.0.0/8",)), "10.0.0.0/8 overlaps"),
    ],
)
def test_a_refusal_says_what_is_in_the_way_and_what_to_do_instead(machine: Machine, reason: str) -> None:
    refused = refusal(machine)

    assert refused is not None
    assert reason in refused.reason
    assert "kind" in refused.remedy
    assert "WHARFINGER_KUBECONFIG" in refused.remedy
