"""The steps of the demo, in order; each fails with its reason."""

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster_access import NAMED, Node, Unavailable, node
from local_cluster import images, state
from quickstart.call import Called, call_both
from quickstart.forward import forwarded
from quickstart.progress import DemoError, Watched, follow

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "examples/01-quickstart"
CHART = ROOT / "charts/wharfinger"
SYSTEM = "wharfinger-system"
IMAGES = ("localhost/wharfinger:dev", "localhost/wharfinger-server-base:dev", "localhost/wharfinger-example-greeter:dev")
TOKEN_MARK = "#   whf_"
WAITED_FOR = (
    Watched("mcpinstallation.wharfinger.dev/time", "quickstart"),
    Watched("mcpinstallation.wharfinger.dev/greeter", "quickstart"),
    Watched("mcpgateway.wharfinger.dev/demo", "quickstart"),
)
READY_SECONDS = 180.0
ADMITTED_SECONDS = 60.0


def up() -> None:
    """Bring everything up, call one tool of each server through the gateway, and print what to type next.

    Raises DemoError.
    """
    started = time.monotonic()
    with step("cluster and images"):
        cluster = node(IMAGES)
        if isinstance(cluster, Unavailable):
            raise DemoError(f"there is no cluster: {cluster.reason}\n{cluster.remedy}")
    with step("helm upgrade --install wharfinger charts/wharfinger"):
        install(cluster)
    with step("kubectl apply -f examples/01-quickstart"):
        run(cluster, [cluster.kubectl, "apply", "-f", EXAMPLE])
    with step("everything Ready"):
        follow(lambda *arguments: output(cluster, [cluster.kubectl, *arguments]), WAITED_FOR, READY_SECONDS)
    with (
        step("two calls through the gateway"),
        forwarded(cluster.kubectl, cluster.kubeconfig, SYSTEM, "service/wharfinger-gateway", 80) as port,
    ):
        called = asyncio.run(call_both(f"http://127.0.0.1:{port}/v1/mcp/quickstart.demo", published_token()))
    print(report(cluster, called, time.monotonic() - started))


def down() -> None:
    """Take away what `up` brought, the local cluster too; what is gone already is no fault. Raises DemoError."""
    if not os.environ.get(NAMED) and not images.docker_runs() and state.read() is None:
        print("nothing is up")
        return
    cluster = node()
    if isinstance(cluster, Unavailable):
        raise DemoError(f"there is no cluster: {cluster.reason}")
    with step("kubectl delete -f examples/01-quickstart/30-installations.yaml"):
        # What they use cannot be deleted before the operator has counted again; it goes with the CRDs.
        run(
            cluster,
            [cluster.kubectl, "delete", "--ignore-not-found", "--wait", "--timeout=60s", "-f", EXAMPLE / "30-installations.yaml"],
            tolerate="no matches for kind",
        )
    with step("helm uninstall wharfinger, with its CRDs and namespaces"):
        run(cluster, [cluster.helm, "uninstall", "wharfinger", "-n", SYSTEM, "--ignore-not-found", "--wait"])
        run(cluster, [cluster.kubectl, "delete", "--ignore-not-found", "--timeout=60s", "-f", ROOT / "crds"])
        run(cluster, [cluster.kubectl, "delete", "namespace", "--ignore-not-found", "--timeout=120s", SYSTEM])
    if cluster.how == "local":
        from local_cluster.__main__ import main as local_cluster  # noqa: PLC0415 - only where the cluster is ours

        with step("the local cluster"):
            local_cluster(["down"])


@contextmanager
def step(title: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    print(f"── {title}", flush=True)
    started = time.monotonic()
    yield
    print(f"   {time.monotonic() - started:.1f} s", flush=True)


def run(cluster: Node, command: list[str | Path], *, tolerate: str | None = None) -> None:
    """Run a command; raise DemoError with what it said, unless that contains `tolerate`."""
    done = subprocess.run([str(part) for part in command], env=environment(cluster), capture_output=True, text=True, check=False)
    if done.returncode and not (tolerate and tolerate in done.stderr):
        raise DemoError(f"{Path(command[0]).name} {' '.join(str(part) for part in command[1:3])} …\n{(done.stderr or done.stdout).strip()}")


def install(cluster: Node) -> None:
    """Install or upgrade the chart with the example's values, and wait until both programs run. Raises DemoError."""
    # The tag is always `dev`, so a newer image would not roll the pods by itself.
    built = images.build(IMAGES[:1])[0].archive.name if cluster.how != "named" else ""
    values: list[str | Path] = ["-f", EXAMPLE / "helm/values.yaml", "--set", f"podAnnotations.image={built}"]
    # CRDs may be there without Helm, and whoever scaled a Deployment by hand owns its replicas since: both are the demo's here.
    run(
        cluster,
        [
            cluster.helm,
            "upgrade",
            "--install",
            "wharfinger",
            CHART,
            "-n",
            SYSTEM,
            "--create-namespace",
            "--take-ownership",
            "--force-conflicts",
            *values,
        ],
    )
    for program in ("wharfinger-operator", "wharfinger-gateway"):
        rolled_out(cluster, program)
    admitted(cluster)


def admitted(cluster: Node) -> None:
    """Wait until the API server has found the kind that parameters of admission policies are of: it may keep what it knew of kinds for half a minute.

    Raises DemoError.
    """
    deadline = time.monotonic() + ADMITTED_SECONDS
    while True:
        try:
            return run(cluster, [cluster.kubectl, "apply", "--dry-run=server", "-f", EXAMPLE / "20-registry-entries.yaml"])
        except DemoError as error:
            if "failed to configure policy" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(1)


def rolled_out(cluster: Node, program: str) -> None:
    """Wait until one of our own programs runs; raise DemoError with its pods and the end of their logs."""
    try:
        run(cluster, [cluster.kubectl, "rollout", "status", "-n", SYSTEM, f"deployment/{program}", "--timeout=90s"])
    except DemoError as error:
        chosen = ["-n", SYSTEM, "-l", f"app.kubernetes.io/component={program.removeprefix('wharfinger-')}"]
        pods = output(cluster, [cluster.kubectl, "get", "pods", *chosen])
        raise DemoError(f"{error}\n{pods}{output(cluster, [cluster.kubectl, 'logs', *chosen, '--tail=15'])}") from None


def output(cluster: Node, command: list[str | Path]) -> str:
    """Return what a command prints; empty where it fails."""
    done = subprocess.run([str(part) for part in command], env=environment(cluster), capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def environment(cluster: Node) -> dict[str, str]:
    """Return the environment for kubectl and helm: this cluster, and nothing of the user's own configuration."""
    return {"KUBECONFIG": str(cluster.kubeconfig), "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp/wharfinger-demo"}  # noqa: S108 - helm wants a home


def published_token() -> str:
    """Return the token that stands in the example for everyone to read."""
    lines = (EXAMPLE / "50-token.yaml").read_text().splitlines()
    return next(line.removeprefix("#").strip() for line in lines if line.startswith(TOKEN_MARK))


def report(cluster: Node, called: Called, seconds: float) -> str:
    """Return what the demo prints at its end."""
    return f"""
The gateway offers: {", ".join(called.tools)}
{called.calls}

Ready in {seconds:.0f} s. Next:
  export KUBECONFIG={cluster.kubeconfig}
  kubectl get mcp -A                                                   # everything of Wharfinger; kubectl: {cluster.kubectl}
  kubectl port-forward -n {SYSTEM} service/wharfinger-gateway 8080:80
  claude mcp add --transport http wharfinger http://localhost:8080/v1/mcp/quickstart.demo --header "Authorization: Bearer {published_token()}"
  make demo-down
"""


__all__ = ["DemoError", "down", "up"]
