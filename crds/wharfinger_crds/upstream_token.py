"""The Secret with the tokens that an owner of an installation was given for its server by that server's authorization server.

Contract of the gateway, which writes it into the system namespace when somebody has logged in, and of the operator, which takes it away when it
is nobody's any more. Its name is made of namespace, name, owner and entry alone, so that an installation that comes back, from a backup or by
another sync, finds it again, and one that takes the name over for somebody else, or for another server, does not. Labels and annotations name
the same four, since a hash tells nobody what it is of. What it holds is for the gateway to say. A write of it need not keep other annotations:
who logs in anew has the grace begin anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from wharfinger_crds import names
from wharfinger_crds.installation import Installation

SELECTOR: Final = f"{names.MANAGED_BY}={names.MANAGER},{names.PART}={names.UPSTREAM_TOKEN_PART}"
"""Chooses these Secrets."""


@dataclass(frozen=True)
class TokenKey:
    """Whose tokens they are, and for what. No uid: a restore gives every object another one."""

    namespace: str
    """Of the installation, as the name is."""
    name: str
    owner: str
    """As the text of `Owner`."""
    entry: str

    @property
    def secret_name(self) -> str:
        """The name of the Secret."""
        return f"upstream-token-{names.short_hash('upstream-token', self.namespace, self.name, self.owner, self.entry, length=32)}"

    def metadata(self, system_namespace: str) -> dict[str, Any]:
        """Return the metadata of the Secret."""
        return {
            "name": self.secret_name,
            "namespace": system_namespace,
            "labels": {
                names.MANAGED_BY: names.MANAGER,
                names.PART: names.UPSTREAM_TOKEN_PART,
                names.INSTALLATION_NAMESPACE: self.namespace,
                names.INSTALLATION_NAME: self.name,
            },
            "annotations": {names.TOKEN_OWNER: self.owner, names.TOKEN_ENTRY: self.entry},
        }


def token_key(installation: Installation) -> TokenKey:
    """Return the key of the tokens of an installation."""
    meta, spec = installation.metadata, installation.spec
    return TokenKey(meta.namespace, meta.name, str(spec.owner), spec.entry_ref.name)


def key_in(secret: Mapping[str, Any]) -> TokenKey | None:
    """Return the key that a Secret names; None where it has not the name of that key, so that nobody knows whose it is."""
    meta = secret["metadata"]
    labels, annotations = meta.get("labels", {}), meta.get("annotations", {})
    key = TokenKey(
        labels.get(names.INSTALLATION_NAMESPACE, ""),
        labels.get(names.INSTALLATION_NAME, ""),
        annotations.get(names.TOKEN_OWNER, ""),
        annotations.get(names.TOKEN_ENTRY, ""),
    )
    return key if key.secret_name == meta["name"] else None
