"""Labels and names of the children of one installation."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wharfinger_crds import names
from wharfinger_crds.installation import Installation

InstallationKey = tuple[str, str]
"""Namespace and name of an installation."""


@dataclass(frozen=True)
class Identity:
    """What every child of one installation carries."""

    namespace: str
    """Namespace of the installation."""
    name: str
    uid: str
    server_namespace: str

    @property
    def server(self) -> str:
        """The name of the workload and of what stands beside it."""
        return names.server_name(self.namespace, self.name)

    @property
    def selector(self) -> dict[str, str]:
        """The one label that selects the pods."""
        return {names.INSTALLATION_ID: names.installation_id(self.namespace, self.name)}

    @property
    def labels(self) -> dict[str, str]:
        """The labels of every child; nothing is copied from the installation's own labels, which GitOps tools use for tracking."""
        return {**self.pod_labels, names.INSTALLATION_UID: self.uid}

    @property
    def pod_labels(self) -> dict[str, str]:
        """The labels of pods: without the uid, since a restored installation must not roll them."""
        return {
            names.MANAGED_BY: names.MANAGER,
            names.INSTALLATION_NAMESPACE: self.namespace,
            names.INSTALLATION_NAME: self.name,
            **self.selector,
        }

    def child(self, api_version: str, kind: str, name: str, **body: Any) -> dict[str, Any]:
        """Return the manifest of a child in the server namespace."""
        return {
            "apiVersion": api_version,
            "kind": kind,
            "metadata": {"name": name, "namespace": self.server_namespace, "labels": self.labels},
            **body,
        }


def identity_of(installation: Installation, server_namespace: str) -> Identity:
    """Return the identity of an installation whose server runs in that namespace."""
    meta = installation.metadata
    return Identity(meta.namespace, meta.name, meta.uid, server_namespace)


def installation_key(child: Mapping[str, Any]) -> InstallationKey | None:
    """Return namespace and name of the installation whose labels a child carries."""
    labels = child.get("metadata", {}).get("labels", {})
    namespace, name = labels.get(names.INSTALLATION_NAMESPACE), labels.get(names.INSTALLATION_NAME)
    # There are many children of one installation, and many installations in a namespace.
    return (sys.intern(namespace), sys.intern(name)) if namespace and name else None
