"""What a launcher does about the cluster that it finds."""

import pytest

from local_cluster.state import Action, Found, State, Wanted, decide

CONTROL_ONLY = State("control", "", "192.0.2.2", "/cache/kube", ("etcd",), "/elsewhere")
WITH_NODE = State("control", "node", "192.0.2.2", "/cache/kube", ("etcd", "kubelet"), "/elsewhere")
USED = ("`pytest` (pid 7)",)


@pytest.mark.parametrize(
    ("found", "wanted", "action"),
    [
        (Found(None), Wanted("control", "node"), Action.START),
        (Found(None, remains=True), Wanted("control", "node"), Action.REPLACE),
        (Found(WITH_NODE), Wanted("control", "node"), Action.REUSE),
        (Found(WITH_NODE), Wanted("control", ""), Action.REUSE),
        (Found(WITH_NODE, users=USED), Wanted("control", "node"), Action.REUSE),
        (Found(CONTROL_ONLY), Wanted("control", "node"), Action.ADD_NODE),
        (Found(CONTROL_ONLY, users=USED), Wanted("control", "node"), Action.ADD_NODE),
        (Found(WITH_NODE), Wanted("other", "node"), Action.REPLACE),
        (Found(WITH_NODE), Wanted("control", "other"), Action.RENEW_NODE),
        (Found(WITH_NODE, users=USED), Wanted("other", "node"), Action.REFUSE),
        (Found(WITH_NODE, users=USED), Wanted("control", "other"), Action.REFUSE),
        (Found(WITH_NODE, fault="etcd ended"), Wanted("control", "node"), Action.REPLACE),
        (Found(WITH_NODE, fault="etcd ended", users=USED), Wanted("control", "node"), Action.REPLACE),
        (Found(WITH_NODE, node_fault="kubelet ended"), Wanted("control", "node"), Action.RENEW_NODE),
    ],
)
def test_an_equal_cluster_is_shared_a_broken_one_replaced_and_one_in_use_left_alone(found: Found, wanted: Wanted, action: Action) -> None:
    assert decide(found, wanted).action is action


def test_a_refusal_names_who_uses_the_cluster_and_where_it_is_from() -> None:
    why = decide(Found(WITH_NODE, users=USED), Wanted("other", "")).why

    assert "`pytest` (pid 7)" in why
    assert "/elsewhere" in why
