"""What a bridge and a log say of a server that does not come up, in the words of a condition; pure.

Both are the server's own words, and may hold anything: they are recognised, never repeated.
"""

from __future__ import annotations

import re
from typing import Final

from wharfinger_crds import conditions as c
from wharfinger_operator.world import PodFact

_ENDED: Final = re.compile(r"the server (exited with code [0-9]{1,3}|was killed by SIG[A-Z0-9]{2,9})\b")
_NO_PACKAGES: Final = re.compile(
    r"dns error|are you offline|error sending request for url|Failed to (fetch|download)"  # uv
    r"|npm (error|ERR!) code (E(AI_AGAIN|NOTFOUND|TIMEDOUT|CONNREFUSED|NETUNREACH|HOSTUNREACH)|FETCH_ERROR)"  # npm
    r"|Temporary failure in name resolution|Failed to establish a new connection"  # pip
)
_ADVICE: Final = "let spec.egress of the environment reach the package registry, or use an image that brings them"


def symptom(pod: str, said: str, log: str) -> PodFact | None:
    """Return what is wrong with a server whose bridge `said` why it is not ready; None where it is still starting."""
    if _NO_PACKAGES.search(log):
        return PodFact(pod, c.PACKAGES_UNAVAILABLE, f"the packages of the server cannot be downloaded: {_ADVICE}")
    if ended := _ENDED.match(said):
        return PodFact(pod, c.CRASHED, f"the server {ended[1]} before it was ready: see its log")
    if said.startswith("the server could not be started"):
        return PodFact(pod, c.CANNOT_START, "the command of the entry cannot be started in the image: is there such a program?")
    if said.startswith(("the server does not speak MCP", "the server gave no answer to initialize")):
        return PodFact(pod, c.NOT_MCP, "the server runs and does not speak MCP on its standard input and output: see its log")
    return None
