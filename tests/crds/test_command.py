"""The command that makes tokens."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from wharfinger_crds.token import Token, is_token, token_hash


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from wharfinger_crds.command import main; sys.exit(main())"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "crds")}
    return subprocess.run((sys.executable, "-c", code, *arguments), capture_output=True, text=True, env=environment, check=False)


@pytest.mark.requirement("AUT-4")
@pytest.mark.parametrize(
    ("who", "kind"), [(("--user", "okta:alice"), "u"), (("--team", "engineering"), "t"), (("--organization",), "o")], ids=["user", "team", "organization"]
)  # fmt: skip
def test_a_new_token_is_said_once_and_its_manifest_holds_the_hash_only(who: tuple[str, ...], kind: str) -> None:
    done = run("token", "new", "laptop", *who, "--gateway", "team-a.tools", "--expires", "90d")
    assert done.returncode == 0, done.stderr
    text = done.stderr.strip()
    assert is_token(text)
    assert text.startswith(f"whf_{kind}_")
    assert text not in done.stdout
    made = Token.parse(yaml.safe_load(done.stdout))
    assert made.spec.token_hash == token_hash(text)
    assert made.spec.gateways == ("team-a.tools",)
    assert made.metadata.namespace == "wharfinger-system"


@pytest.mark.requirement("AUT-4")
def test_a_token_can_go_to_a_new_file_that_its_owner_alone_reads(tmp_path: Path) -> None:
    path = tmp_path / "token"
    done = run("token", "new", "laptop", "--user", "okta:alice", "--token-file", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert token_hash(path.read_text().strip()) in done.stdout
    again = run("token", "new", "laptop", "--user", "okta:alice", "--token-file", str(path))
    assert again.returncode == 2
    assert "name a new file" in again.stderr
    assert not again.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("laptop", "--user", "alice"), "okta:alice"),
        (("laptop", "--team", "Not A Team"), "DNS label"),
        (("Laptop", "--user", "okta:alice"), "no name of an object"),
        (("laptop", "--user", "okta:alice", "--expires", "yesterday"), "90d"),
        (("laptop", "--user", "okta:alice", "--expires", "2020-01-01T00:00:00Z"), "a time to come"),
        (("laptop", "--user", "okta:alice", "--gateway", "tools"), "spec.gateways"),
        (("laptop",), "one of the arguments --user --team --organization is required"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_nothing_is_made(arguments: tuple[str, ...], said: str) -> None:
    done = run("token", "new", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert not done.stdout
