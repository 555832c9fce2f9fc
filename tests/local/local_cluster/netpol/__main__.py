"""A network policy engine for the one node of a test cluster: NetworkPolicy, and the parts of Cilium's kinds that `cilium` names.

It stands in for a real engine where none can be installed, enforcing with nftables and a DNS proxy: a test engine, and not a model of any
vendor's timing. The official NetworkPolicy cases of Kubernetes v1.36.3 (test/e2e/network/netpol, 45 without SCTP) pass. Its limits: IPv4; established connections outlive a new policy; a new pod is unrestricted until its address shows in its
status (about a second); DNS rules apply to every target at port 53. What it does not know it treats as allowing nothing.
"""

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from local_cluster.layout import POLICY_TABLE
from local_cluster.netpol import cilium, dns, proxy, render, standard, world
from local_cluster.netpol.rules import Isolation
from local_cluster.netpol.watch import Store

KEPT_AT_LEAST = 60.0
"""Seconds for which a learned address counts, however short its time to live."""
LOOK_AGAIN = 10.0


class Engine:
    """The rules in force, and what the pods have learned from DNS."""

    def __init__(self, store: Store, node_address: str) -> None:
        self._store = store
        self._node_address = node_address
        self._lock = threading.RLock()
        self._names: tuple[cilium.NameSet, ...] = ()
        self._asks: tuple[cilium.Asks, ...] = ()
        self._learned: dict[str, dict[str, dict[str, float]]] = {}

    def enforce(self) -> None:
        """Put the rules for the newest objects in force."""
        pods = world.pods(self._store.of("pods"), self._store.of("namespaces"))
        found = [i for p in self._store.of("policies") for i in standard.isolations(p, pods)]
        of_cilium = [m for p in self._store.of("cilium", "ciliumwide") for m in cilium.meanings(p, pods, self._node_address)]
        found += [m for m in of_cilium if isinstance(m, Isolation)]
        for shut in dict.fromkeys(m for m in of_cilium if isinstance(m, cilium.Shut)):
            log(f"{shut.policy}: {shut.why}")
        with self._lock:
            self._names = tuple(m for m in of_cilium if isinstance(m, cilium.NameSet))
            self._asks = tuple(m for m in of_cilium if isinstance(m, cilium.Asks))
            live = {p.address for p in pods}
            self._learned = {pod: names for pod, names in self._learned.items() if pod in live}
            nft(render.table(found, self._names, self._asks, self._still_learned()))
        log(f"{len(pods)} pods, {len(found)} isolations, {len(self._names)} sets of names")

    def answer(self, pod: str, query: bytes, ask: Callable[[bytes], bytes]) -> bytes:
        """Answer a pod's DNS query, or refuse; addresses of names that its rules speak of are let through before it learns them."""
        name = dns.question(query).name
        with self._lock:
            allowed = any(render.matches(a.patterns, name) for a in self._asks if a.pod == pod)
        if not allowed:
            log(f"{pod} may not ask for {name}")
            return dns.refusal(query)
        response = ask(query)
        if found := dns.addresses(response):
            with self._lock:
                kept = self._learned.setdefault(pod, {}).setdefault(name, {})
                kept.update({address: time.time() + max(ttl, KEPT_AT_LEAST) for address, ttl in found})
                for named in self._names:
                    if named.pod == pod and render.matches(named.patterns, name):
                        nft(f"add element inet {POLICY_TABLE} {named.name} {{ {', '.join(a for a, _ in found)} }}")
        return response

    def _still_learned(self) -> render.Learned:
        now = time.time()
        return {
            pod: {name: tuple(a for a, until in addresses.items() if until > now) for name, addresses in names.items()}
            for pod, names in self._learned.items()
        }


def nft(script: str) -> None:
    """Run an nft script: all of it, or on an error nothing, and the rules before it stay."""
    done = subprocess.run(["nft", "-f", "-"], input=script, text=True, capture_output=True, check=False)
    if done.returncode:
        log(f"nft refused: {done.stderr.strip()}\n{script}")


def log(text: str) -> None:
    """Write one line to the engine's log."""
    sys.stdout.write(f"{time.strftime('%X')} {text}\n")


def main() -> None:
    """Follow the cluster and enforce, until ended."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--node-address", required=True)
    store = Store()
    engine = Engine(store, arguments.parse_args().node_address)
    store.follow()
    proxy.serve(engine.answer)
    while True:
        store.changed.wait(LOOK_AGAIN)  # now and then even so, for addresses whose time ran out
        store.changed.clear()
        if store.is_complete():
            try:
                engine.enforce()
            except (KeyError, TypeError, ValueError, OSError) as e:
                log(f"not enforced, the rules before it stay: {e!r}")


if __name__ == "__main__":
    main()
