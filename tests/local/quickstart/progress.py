"""Wait until objects are Ready, saying what they wait for themselves."""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

Kubectl = Callable[..., str]
POLL_SECONDS = 0.5


class DemoError(Exception):
    """The demo cannot go on; the message says why and shows the conditions of what did not come up."""


class Watched(NamedTuple):
    """An object that must become Ready."""

    name: str
    namespace: str


def follow(kubectl: Kubectl, objects: Sequence[Watched], seconds: float) -> None:
    """Return when all objects are Ready, printing each change of what they wait for; raise DemoError after `seconds`."""
    said: dict[Watched, str] = {}
    deadline = time.monotonic() + seconds
    while True:
        states = {watched: _state(kubectl, watched) for watched in objects}
        for watched, state in states.items():
            line = _summary(state)
            if said.get(watched) != line:
                said[watched] = line
                print(f"   {watched.name.split('.')[0]}/{watched.name.split('/')[1]}: {line}", flush=True)
        if all(_is_ready(state) for state in states.values()):
            return
        if time.monotonic() > deadline:
            open_ones = "\n".join(f"{w.name}:\n{_conditions(s)}" for w, s in states.items() if not _is_ready(s))
            raise DemoError(f"not everything became Ready within {seconds:.0f} s\n{open_ones}")
        time.sleep(POLL_SECONDS)


def _state(kubectl: Kubectl, watched: Watched) -> dict[str, Any]:
    text = kubectl("get", watched.name, "-n", watched.namespace, "-o", "json")
    found: dict[str, Any] = json.loads(text) if text else {}
    return found


def _ready(state: dict[str, Any]) -> dict[str, Any]:
    conditions = state.get("status", {}).get("conditions", [])
    return next((c for c in conditions if c["type"] == "Ready"), {})


def _is_ready(state: dict[str, Any]) -> bool:
    ready = _ready(state)
    return ready.get("status") == "True" and ready.get("observedGeneration") == state["metadata"]["generation"]


def _summary(state: dict[str, Any]) -> str:
    ready = _ready(state)
    return " ".join(part for part in (f"Ready={ready.get('status', 'Unknown')}", ready.get("reason", ""), ready.get("message", "")) if part)


def _conditions(state: dict[str, Any]) -> str:
    conditions = state.get("status", {}).get("conditions", [])
    return (
        "\n".join(f"  {c['type']}={c['status']} {c['reason']}: {c['message']}" for c in conditions)
        or "  no status yet: does the operator run?"
    )
