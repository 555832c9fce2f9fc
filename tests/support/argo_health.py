"""Argo CD's health of our objects by the chart's scripts, in Lua 5.1 as Argo CD runs it, and what kstatus makes of the same objects."""

from collections.abc import Iterable
from typing import Any

import yaml
from lupa import lua51  # type: ignore[import-untyped]

from chart import CHART
from kstatus import kstatus
from wharfinger_crds import conditions as c
from wharfinger_crds import names
from wharfinger_crds.kinds import GRANT, KINDS, Kind

Object = dict[str, Any]
CONFIG = yaml.safe_load((CHART / "argocd/argocd-cm.yaml").read_text())["data"]
SAME = {"Current": "Healthy", "Failed": "Degraded", "InProgress": "Progressing", "Terminating": "Progressing"}
NOT_IN_ARGO = (
    "io",
    "os",
    "debug",
    "package",
    "require",
    "module",
    "dofile",
    "loadfile",
    "load",
    "loadstring",
    "string",
    "math",
    "coroutine",
    "print",
)


def key(kind: Kind) -> str:
    return f"resource.customizations.health.{names.GROUP}_{kind.kind}"


def health(kind: Kind, found: Object) -> tuple[str, str]:
    """Run the kind's script as Argo CD does: in Lua 5.1, with the base library only, over a global `obj`."""
    lua = lua51.LuaRuntime(register_eval=False, unpack_returned_tuples=True)
    run = lua.eval("function(code) return loadstring(code) end")(CONFIG[key(kind)])
    lua.execute('getmetatable("").__index = nil')
    for name in NOT_IN_ARGO:
        lua.globals()[name] = None
    lua.globals().obj = lua.table_from(found, recursive=True)
    answer = run()
    return str(answer.status), str(answer.message)


def outdated(found: Object) -> str:
    """Return why the status does not say how the object is now, or an empty text."""
    if found["metadata"].get("deletionTimestamp"):
        return "is being deleted"
    seen = found["status"]["observedGeneration"] == found["metadata"]["generation"]
    return "" if seen else "the operator has not seen this version yet"


def expected(found: Object) -> str:
    status = SAME[kstatus(found)]
    suspended = found["spec"].get("suspend") and status == "Progressing"
    return "Suspended" if suspended and not outdated(found) else status


def objection(kind: Kind, found: Object) -> str | None:
    """Return in what Argo CD and kstatus read a status differently, or None; it has conditions."""
    status, message = health(kind, found)
    ready = next(one for one in found["status"]["conditions"] if one["type"] == c.READY)
    wanted = expected(found), outdated(found) or f"{ready['reason']}: {ready['message']}"
    return None if (status, message) == wanted else f"Argo CD: {status}, {message}; kstatus: {wanted[0]}, {wanted[1]}; of {found}"


def objections(found: Iterable[Object]) -> list[str]:
    """Return the objections to objects of our kinds whose statuses have conditions."""
    kinds = {kind.kind: kind for kind in KINDS if kind is not GRANT}
    reported = [(kinds[one["kind"]], one) for one in found if one["kind"] in kinds and one.get("status", {}).get("conditions")]
    return [said for kind, one in reported if (said := objection(kind, one)) is not None]
