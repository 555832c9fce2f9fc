"""The official conformance suite: what a revision requires, and runs of it with the verdict on each scenario."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Literal

import yaml

from node_tools import NodeTools

REVISIONS = ("2025-11-25", "2026-07-28")
Leg = Literal["server", "client"]
Verdicts = Mapping[str, tuple[str, ...]]
"""Scenarios that ran, each with the checks that failed or gave a warning, which is what breaking a SHOULD gives: none where it passed."""

_PACKAGE = "node_modules/@modelcontextprotocol/conformance"
_SCENARIO_SECONDS = 60
"""A scenario takes two, but the machine may be busy: what hangs is ended by the gateway's own limit."""
CALL_TIMEOUT = "15s"
"""That limit, for the gateways that are tried."""


def required(tools: NodeTools, leg: Leg, revision: str) -> tuple[str, ...]:
    """Return the scenarios that implementations of a revision must pass."""
    document = yaml.safe_load((tools.folder / _PACKAGE / "requirements" / f"{revision}.yaml").read_text())
    return tuple(document[leg])


def run_server_leg(tools: NodeTools, url: str, revision: str, home: Path) -> Verdicts:
    """Let the suite try a server, in all that a revision requires."""
    return _run(tools, ("server", "--url", url, "--requirements", revision), home)[0]


def tried_again(tools: NodeTools, url: str, revision: str, home: Path, scenarios: Iterable[str]) -> Verdicts:
    """Let the suite try a server again in some scenarios, one after the other.

    Some look for half a second only whether something comes, which says nothing where many are tried at once.
    """
    chosen = tuple(scenarios)
    options = [("server", "--url", url, "--scenario", scenario, "--spec-version", revision) for scenario in chosen]
    return {name: _run(tools, words, home / f"{name}-again")[0][name] for name, words in zip(chosen, options, strict=True)}


def failed_checks(failures: Iterable[str]) -> frozenset[str]:
    """Return which checks of a scenario failed."""
    return frozenset(failure.partition(":")[0] for failure in failures)


def run_client_scenario(tools: NodeTools, command: str, scenario: str, revision: str, home: Path) -> tuple[str, ...]:
    """Let the suite be the server of a client that a command starts, the suite's URL as its last argument; return what failed."""
    verdicts, done = _run(tools, ("client", "--command", command, "--scenario", scenario, "--spec-version", revision), home)
    # Without a failed check it is the client itself that failed.
    return verdicts[scenario] or ((done.stderr[-2000:],) if done.returncode else ())


def _run(tools: NodeTools, arguments: Sequence[str], home: Path) -> tuple[Verdicts, CompletedProcess[str]]:
    home.mkdir(parents=True, exist_ok=True)
    results = home / "results"
    options = ("--timeout", str(_SCENARIO_SECONDS * 1000), "--output-dir", str(results))
    done = tools.run("conformance", *arguments, *options, home=home, seconds=300)
    verdicts = {_scenario(path.parent, results): _failures(path) for path in sorted(results.rglob("checks.json"))}
    assert verdicts, done.stdout + done.stderr
    return verdicts, done


def _scenario(folder: Path, results: Path) -> str:
    # A folder is named after the leg, the scenario, which may have a slash, and the time.
    named = re.fullmatch(r"(?:server-|client-)?(.+)-\d{4}-\d\d-\d\dT.*", str(folder.relative_to(results)))
    assert named is not None, folder
    return named[1]


def _failures(checks: Path) -> tuple[str, ...]:
    failed = [one for one in json.loads(checks.read_text()) if one["status"] in ("FAILURE", "WARNING")]
    return tuple(f"{one['id']}: {one.get('errorMessage', '')}" for one in failed)
