"""What is written down about a cluster that is up, and the pure decision what a launcher that wants one has to do.

The record is written last, so a start that was cut off leaves none, only processes; that and a dead component both mean: begin anew.
"""

import json
from dataclasses import asdict, dataclass
from enum import Enum

from local_cluster.layout import STATE


@dataclass(frozen=True)
class State:
    """A cluster that came up."""

    control: str
    """Hash of all that the control plane was made from."""
    node: str
    """The same of the node; empty where there is none."""
    address: str
    kube: str
    """The multi-call binary that runs it."""
    components: tuple[str, ...]
    checkout: str


@dataclass(frozen=True)
class Wanted:
    """The cluster that a launcher would start: hashes as in State; `node` is empty where none is asked for."""

    control: str
    node: str


@dataclass(frozen=True)
class Found:
    """The cluster that is there."""

    state: State | None
    fault: str = ""
    """Why its control plane is no good, such as `etcd ended`."""
    node_fault: str = ""
    """Why its node is no good."""
    remains: bool = False
    """Whether any process or file of a cluster is there."""
    users: tuple[str, ...] = ()


class Action(Enum):
    """What to do about the cluster that is there."""

    REUSE = "reuse"
    ADD_NODE = "add the node"
    RENEW_NODE = "renew the node"
    START = "start"
    REPLACE = "replace"
    REFUSE = "refuse"


@dataclass(frozen=True)
class Decision:
    """An action and its reason."""

    action: Action
    why: str = ""


def decide(found: Found, wanted: Wanted) -> Decision:
    """Share an equal cluster; mend or replace one that nobody uses; never touch a working one in use."""
    record = found.state
    if record is None:
        return Decision(Action.REPLACE, "an earlier start was cut off") if found.remains else Decision(Action.START)
    if found.fault:
        return Decision(Action.REPLACE, found.fault)
    if found.node_fault:
        return Decision(Action.RENEW_NODE, found.node_fault)
    other = f"of another version, from {record.checkout}"
    action = Action.REUSE
    if record.control != wanted.control:
        action = Action.REPLACE
    elif wanted.node and not record.node:
        action = Action.ADD_NODE
    elif wanted.node and record.node != wanted.node:
        action = Action.RENEW_NODE
    if action in (Action.REPLACE, Action.RENEW_NODE):
        if found.users:
            return Decision(Action.REFUSE, f"a cluster {other}, is up and in use by {', '.join(found.users)}: wait for its end")
        return Decision(action, f"the one that is up is {other}")
    return Decision(action)


def read() -> State | None:
    """The record of the cluster that is up, if there is one."""
    try:
        record = json.loads(STATE.read_text())
        return State(**{**record, "components": tuple(record["components"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(state: State) -> None:
    """Write the record, at once or not at all."""
    unfinished = STATE.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(asdict(state), indent=1))
    unfinished.rename(STATE)
