"""`python -m bench.hollow_operator`: the operator itself, as in a pod of its image, but that it finds every server at one URL.

That URL is no Service's, so nothing guards the way there. What logs in by a kubeconfig, and the libraries of tests that kopf loads where it
finds them, are not in the image: they would take more than ten MiB of the memory that is measured.
"""

import os
import sys
from functools import partial
from pathlib import Path

sys.modules.update(dict.fromkeys(("kubernetes", "pykube")))  # type: ignore[arg-type]  # None: not installed

from bench.pod_login import ACCOUNT, SERVER  # noqa: E402

from wharfinger_cluster import login  # noqa: E402
from wharfinger_crds import names  # noqa: E402
from wharfinger_crds.connection import Connection  # noqa: E402
from wharfinger_operator import ask_server  # noqa: E402
from wharfinger_operator.__main__ import main  # noqa: E402


def everywhere_the_same(_: str, __: str, ___: str, path: str = names.MCP_PATH) -> str:
    """Stand in for `names.server_url`."""
    return os.environ[SERVER]


def unguarded(_: Connection) -> None:
    """Stand in for `egress_guard.guard_of`."""


if __name__ == "__main__":
    ask_server.guard_of = unguarded  # type: ignore[attr-defined,assignment]  # no guard at all
    names.server_url = everywhere_the_same  # type: ignore[assignment]  # the names of its parameters
    login.in_cluster = partial(login.in_cluster, directory=Path(os.environ[ACCOUNT]))
    del sys.argv[1:]
    os.environ.pop("KUBECONFIG", None)
    sys.exit(main())
