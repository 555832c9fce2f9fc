"""`wharfinger`: what people do by hand. It talks to no cluster: manifests go to standard output, for kubectl or a repository."""

from __future__ import annotations

import argparse
import os
import re
import secrets
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from wharfinger_crds import names
from wharfinger_crds.base import misfits
from wharfinger_crds.token import ALPHABET, BODY_LENGTH, Token, TokenSubject, token_hash, token_text

_DAYS: Final = re.compile(r"([1-9][0-9]{0,4})d")
_EPILOG: Final = """examples:
  wharfinger token new alice-laptop --user okta:alice --expires 90d | kubectl apply -f -
  wharfinger token new ci --team engineering --gateway team-engineering.tools --token-file ci.token > ci.yaml"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code."""
    asked = _parser().parse_args(arguments)
    return _new_token(asked)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("wharfinger", description="Prepares objects of the Wharfinger platform.")
    kinds = parser.add_subparsers(title="objects", required=True, metavar="OBJECT")
    token = kinds.add_parser("token", help="static bearer tokens (McpToken)").add_subparsers(title="verbs", required=True, metavar="VERB")
    new = token.add_parser(
        "new",
        help="make a token: its manifest, which holds its hash only, and the token itself",
        description="Prints the manifest of a new McpToken to standard output, and the token, which is kept nowhere, to standard error.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    new.add_argument("name", help="of the McpToken")
    who = new.add_mutually_exclusive_group(required=True)
    who.add_argument("--user", metavar="PROVIDER:NAME", help="calls as this user")
    who.add_argument("--team", metavar="TEAM", help="calls as this team")
    who.add_argument("--organization", action="store_true", help="calls as the organization")
    new.add_argument("--gateway", metavar="NAMESPACE.NAME", action="append", default=[], help="counts there only; may be repeated")
    new.add_argument("--expires", metavar="DAYSd|TIME", help="90d, or an RFC 3339 time; default: never")
    new.add_argument("--description", help="for people")
    new.add_argument("--namespace", default="wharfinger-system", help="the platform's system namespace (default: %(default)s)")
    new.add_argument(
        "--token-file", type=Path, metavar="FILE", help="write the token to a new file that only you can read, not to standard error"
    )
    return parser


def _new_token(asked: argparse.Namespace) -> int:
    try:
        subject = TokenSubject(user=asked.user, team=asked.team, organization=asked.organization or None)
    except ValidationError:
        return _wrong("--user is PROVIDER:NAME such as okta:alice, --team a DNS label")
    text = token_text(subject.kind, "".join(secrets.choice(ALPHABET) for _ in range(BODY_LENGTH)))
    try:
        expires = _moment(asked.expires, datetime.now(UTC)) if asked.expires else None
    except ValueError:
        return _wrong(f"--expires {asked.expires}: neither days, such as 90d, nor a time to come, such as 2027-01-31T00:00:00Z")
    spec: dict[str, Any] = {"subject": subject.manifest(), "tokenHash": token_hash(text)}
    given = {"gateways": asked.gateway, "expiresAt": expires, "description": asked.description}
    manifest = {
        "apiVersion": names.API_VERSION,
        "kind": "McpToken",
        "metadata": {"name": asked.name, "namespace": asked.namespace},
        "spec": spec | {key: value for key, value in given.items() if value},
    }
    try:
        Token.parse(manifest)
    except ValidationError as error:
        return _wrong(f"not as an McpToken has them: {misfits(error)}")
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", asked.name) or len(asked.name) > names.NAME_MAXIMUM:
        return _wrong(f"{asked.name!r} is no name of an object: lower-case letters, digits and '-', at most {names.NAME_MAXIMUM}")
    if asked.token_file is not None and not _write(asked.token_file, text):
        return _wrong(f"{asked.token_file} is there already, or cannot be written: name a new file")
    if asked.token_file is None:
        sys.stderr.write(f"{text}\n")
    sys.stdout.write(yaml.safe_dump(manifest, sort_keys=False))
    return 0


def _moment(text: str, now: datetime) -> str:
    days = _DAYS.fullmatch(text)
    moment = now + timedelta(days=int(days[1])) if days else datetime.fromisoformat(text)
    if moment.tzinfo is None or moment <= now:
        raise ValueError(text)
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def _write(path: Path, text: str) -> bool:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{text}\n")
    except OSError:
        return False
    return True


def _wrong(what: str) -> int:
    sys.stderr.write(f"wharfinger: {what}\n")
    return 2
