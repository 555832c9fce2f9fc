"""`python -m bench.gateway`: the gateway against Envoy's MCP filter, both on one core of their own, and what is around them on the other.

Rounds are interleaved and shuffled; what counts is the median of the rounds' ratios, for two loads a second apart share the machine's mood.
"""

import argparse
import http.client
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.interpreter import described, interpreter, search_path
from bench.peers import TOOLS, Target, envoy, nginx, on_core
from bench.results import write_section

from free_port import free_port
from gateway_world import ALICE, dump, gateway, installation, pinned, tool
from local_cluster import binaries
from own_address import ADDRESS

ROOT = Path(__file__).parents[2]
CORE, OTHER_CORE = 0, 1
ARGUMENT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


@dataclass(frozen=True)
class Workload:
    """What is asked for, and what the gateway's share of Envoy's rate is to be."""

    name: str
    goal: float
    options: tuple[str, ...]
    tool: str = "echo"


WORKLOADS = (
    Workload("`tools/call`, 1 connection", 1.0, ("-connections", "1")),
    Workload("`tools/call`, 16 connections", 1.0, ("-connections", "16")),
    Workload("`tools/call`, 64 connections", 1.0, ("-connections", "64")),
    Workload("`tools/list`, 10 tools, 16 connections", 0.75, ("-connections", "16", "-kind", "list")),
    Workload("a tool that takes 50 ms, 1000 in flight", 1.0, ("-connections", "1000"), "slow"),
    Workload("answers as event streams, 16 connections", 0.6, ("-connections", "16"), "stream"),
    Workload("64 KiB there and back, 16 connections", 0.9, ("-connections", "16", "-size", "65536"), "big"),
    Workload("session: begin, one call, end, 16 connections", 0.75, ("-connections", "16", "-kind", "cycle")),
)


@dataclass(frozen=True)
class Measured:
    """One load."""

    rate: float
    p50: float
    p99: float
    errors: int
    requests: int
    cpu: float
    """Microseconds of a request, of the program that stands in between; 0 where there is none."""


class Bench:
    """The programs that run, and what was measured of them."""

    def __init__(self, load: Path, targets: Sequence[Target], seconds: float, upstream: str) -> None:
        self.load = load
        self.targets = targets
        self.seconds = seconds
        self.upstream = upstream
        self.found: dict[tuple[str, str], list[Measured]] = {}

    def run(self, rounds: int) -> None:
        """Measure every workload on every target, so many times."""
        for number in range(rounds):
            for workload in WORKLOADS:
                for target in random.sample(self.targets, len(self.targets)):
                    self.found.setdefault((workload.name, target.name), []).append(self.measure(workload, target))
            print(f"round {number + 1} of {rounds}", file=sys.stderr)

    def measure(self, workload: Workload, target: Target, *, leave: bool = True) -> Measured:
        """Send one load, whose clients leave amid one call more."""
        options = [*workload.options, "-seconds", str(self.seconds)] + ["-leave"] * leave
        command = [*driven(self.load, target, workload.tool), *options]
        before = cpu_seconds(target)
        said = subprocess.run(
            ["taskset", "-c", str(OTHER_CORE), *command], capture_output=True, text=True, check=True, env={"GOMAXPROCS": "1"}
        )
        read = json.loads(said.stdout)
        if read["errors"]:
            print(f"{target.name}, {workload.name}: {read['errors']} errors, one of them: {read['first_error']}", file=sys.stderr)
        cpu = (cpu_seconds(target) - before) * 1e6 / max(1, read["requests"])
        return Measured(read["requests"] / read["seconds"], read["p50_us"], read["p99_us"], read["errors"], read["requests"], cpu)

    def calls(self) -> int:
        """Return how many calls the server has had."""
        connection = http.client.HTTPConnection(self.upstream)
        connection.request("GET", "/calls")
        return int(connection.getresponse().read())

    def ratio(self, workload: Workload, one: str, other: str, of: str = "rate") -> float:
        """Return the median of the rounds' ratios."""
        pairs = zip(self.found[workload.name, one], self.found[workload.name, other], strict=True)
        return float(statistics.median(getattr(a, of) / getattr(b, of) for a, b in pairs))

    def median(self, workload: Workload, target: str, of: str) -> float:
        """Return the median of the rounds."""
        return float(statistics.median(getattr(one, of) for one in self.found[workload.name, target]))


@contextmanager
def served(load: Path, core: int) -> Iterator[str]:
    """Run the server and give its address."""
    with on_core(core, [str(load), "serve", f"{ADDRESS}:0"], stdout=subprocess.PIPE, env={"GOMAXPROCS": "1"}) as process:
        assert process.stdout is not None
        yield f"{ADDRESS}:{int(process.stdout.readline())}"


@contextmanager
def wharfinger(core: int, upstream: str, folder: Path) -> Iterator[Target]:
    """Run the gateway: tokens, access to tools, audit records and metrics are on."""
    path, port = folder / "manifests", free_port()
    tools = [tool(name, inputSchema=ARGUMENT, description="What it does. " * 20) for name in (*TOOLS, *"efghij")]
    url = f"http://{upstream}/mcp"
    path.write_text(dump([*installation("load", team="engineering", url=url, tools=tools), gateway("tools", pinned("load"))]))
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": search_path(ROOT),
        # Not on the loopback interface, where every request's Host is looked at.
        "WHARFINGER_LISTEN": f"{ADDRESS}:{port}",
        "WHARFINGER_PROBE_LISTEN": "127.0.0.1:0",
    }
    command = [interpreter(), str(ROOT / "tests/support/gateway_offline.py"), str(path)]
    with (folder / "audit").open("w") as audit, on_core(core, command, env=variables, stdout=audit, stderr=subprocess.DEVNULL) as process:
        yield Target("Wharfinger", f"http://{ADDRESS}:{port}/v1/mcp/dev.tools", "Authorization", f"Bearer {ALICE}", "load__", process.pid)


def driven(load: Path, target: Target, tool: str = "echo") -> list[str]:
    """Return the command that sends a load of calls of a tool."""
    tool = target.prefix + tool
    return [str(load), "drive", "-url", target.url, "-header", target.header, "-token", target.token, "-tool", tool]


def ready(target: Target) -> None:
    """Wait until something listens."""
    host, _, port = target.url.removeprefix("http://").partition("/")[0].rpartition(":")
    for _ in range(400):
        try:
            socket.create_connection((host, int(port))).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{target.name} does not listen")


def cpu_seconds(target: Target) -> float:
    """Return how long the threads of a program have run."""
    threads = Path(f"/proc/{target.pid}/task").iterdir() if target.pid else ()
    return sum(int((one / "schedstat").read_text().split()[0]) for one in threads) / 1e9


def resident(target: Target) -> int:
    """Return the memory of a program in KiB."""
    status = Path(f"/proc/{target.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


def held(load: Path, target: Target, sessions: int) -> float:
    """Return the KiB that each of so many open sessions takes."""
    before = resident(target)
    command = [*driven(load, target), "-kind", "hold", "-connections", str(sessions)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        after = resident(target)
        process.communicate("\n")
    return (after - before) / sessions


def main() -> int:
    """Measure, and write the table; return the exit code."""
    parser = argparse.ArgumentParser(prog="bench.gateway")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each load")
    asked = parser.parse_args()
    load = binaries.build(binaries.MCP_LOAD)
    with TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        upstream = stack.enter_context(served(load, OTHER_CORE))
        # Without anything in between, the server gets the core that the others have.
        alone = stack.enter_context(served(load, CORE))
        with wharfinger(CORE, upstream, folder) as fresh:
            ready(fresh)
            idle = resident(fresh)
            sizes = {sessions: held(load, fresh, sessions) for sessions in (1000, 9000)}
        ours = stack.enter_context(wharfinger(CORE, upstream, folder))
        theirs = stack.enter_context(envoy(CORE, upstream, folder))
        plain = stack.enter_context(nginx(CORE, upstream, folder))
        direct = Target("straight to the server", f"http://{alone}/mcp")
        targets = [ours, theirs, direct, *([plain] if plain is not None else [])]
        for target in targets:
            ready(target)
        bench = Bench(load, targets, asked.seconds, upstream)
        before = bench.calls()
        counted = bench.measure(WORKLOADS[1], ours, leave=False)
        per_call = (bench.calls() - before) / (counted.requests + 16)
        bench.run(asked.rounds)
        everything = _rows(bench, ours, theirs, targets)
        more = _more(bench, ours, idle, per_call, sizes)
    load_average = os.getloadavg()[1]
    notes = (
        f"{asked.rounds} interleaved rounds of {asked.seconds:g} s; rates are medians, ratios the medians of the rounds' ratios; every load's clients leave\n"
        "amid a last call. Gateway and Envoy have authentication and access to tools by name on, the gateway audit records and metrics as well;\n"
        "each has one core, and driver and server share another; `straight` and nginx show that those two are not what is measured. `by CPU time` is\n"
        "the ratio that the CPU time of a request gives: it holds on a busy machine too, where rates and times tell rather whom it let run.\n"
        f"The gateway runs with {described()}. Load average of the machine over five minutes, the bench's own part included: {load_average:.1f}."
    )
    rates = (f"{target.name}, 1/s" for target in targets)
    header = ("load", "rate, ours / Envoy's", "by CPU time", "goal", *rates, "p50, p99, CPU µs", "Envoy's")
    print(write_section("The gateway and Envoy", "make bench-gateway", notes, header, [*everything, *more]))
    return 0


def _rows(bench: Bench, ours: Target, theirs: Target, targets: Sequence[Target]) -> list[tuple[str, ...]]:
    rows = []
    for workload in WORKLOADS:
        rates = (f"{bench.median(workload, target.name, 'rate'):,.0f}" for target in targets)
        times = (", ".join(f"{bench.median(workload, one.name, of):,.0f}" for of in ("p50", "p99", "cpu")) for one in (ours, theirs))
        ratio, spent = bench.ratio(workload, ours.name, theirs.name), bench.ratio(workload, theirs.name, ours.name, "cpu")
        rows.append((workload.name, f"{ratio:.2f}", f"{spent:.2f}", f"≥ {workload.goal:g}", *rates, *times))
    return rows


def _more(bench: Bench, ours: Target, idle: int, per_call: float, sizes: dict[int, float]) -> list[tuple[str, ...]]:
    errors = sum(one.errors for (_, name), found in bench.found.items() if name == ours.name for one in found)
    rest: tuple[Any, ...] = ("",) * (len(bench.targets) + 2)
    return [
        ("requests to the server for each call", f"{per_call:.3f}", "", "1", *rest),
        ("errors", str(errors), "", "0", *rest),
        ("memory when idle", f"{idle / 1024:.0f} MiB", "", "≤ 60 MiB", *rest),
        ("memory of each open session, 1000 of them", f"{sizes[1000]:.1f} KiB", "", "≤ 20 KiB", *rest),
        ("of each of 9000 more", f"{sizes[9000]:.1f} KiB", "", "", *rest),
    ]


if __name__ == "__main__":
    raise SystemExit(main())
