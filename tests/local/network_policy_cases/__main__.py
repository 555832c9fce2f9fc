"""`python -m network_policy_cases [FOCUS]`: the official NetworkPolicy cases of Kubernetes against the cluster that tests use.

They judge the local cluster's policy engine, or whatever engine the cluster has. All but those for SCTP, about 8 minutes; FOCUS is a regular
expression for some of them. The exit code is 0 when all have passed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from cluster_access import Unavailable, node
from local_cluster import binaries
from local_cluster.progress import LaunchError, say

IMAGE = "localhost/wharfinger-e2e/agnhost:2.63.0"
SECONDS = 45 * 60


def main() -> int:
    """Run the cases, and say how each one ends that does not pass."""
    parser = argparse.ArgumentParser(prog="python -m network_policy_cases", description=__doc__.splitlines()[0])
    parser.add_argument("focus", nargs="?", default="Netpol", metavar="FOCUS", help="a regular expression for the names of cases; all")
    focus = parser.parse_args().focus
    try:
        program = binaries.build(binaries.POLICY_CASES)
        cluster = node((IMAGE,))
    except LaunchError as error:
        say(str(error))
        return 1
    if isinstance(cluster, Unavailable):
        say(str(cluster))
        return 1
    with tempfile.TemporaryDirectory() as folder:
        registries = Path(folder) / "registries.yaml"
        registries.write_text(yaml.safe_dump({"promoterE2eRegistry": IMAGE.rpartition("/")[0]}))
        command = [
            str(program), f"--kubeconfig={cluster.kubeconfig}", "--provider=local", f"--ginkgo.focus={focus}", "--ginkgo.skip=SCTP",
            "--ginkgo.no-color", "--ginkgo.timeout=40m",
        ]  # fmt: skip
        environment = {**os.environ, "KUBE_TEST_REPO_LIST": str(registries)}
        running = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            for line in running.stdout or ():
                if any(word in line for word in ("[FAIL]", "[FAILED]", "Ran ", "• [")):
                    sys.stdout.write(line)
                    sys.stdout.flush()
            return running.wait(SECONDS)
        finally:
            running.kill()


raise SystemExit(main())
