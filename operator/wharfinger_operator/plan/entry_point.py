"""What a stdio server's image starts by itself: asked of its registry where the entry declares no command.

Invariants: what a running server was started with stays, by a signed annotation on its Deployment, until the entry or the
restart annotation changes; so a restart of the operator asks nothing, and a tag that moved rolls nothing by itself. Where
the registry fails then, the known entry point is used on.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from wharfinger_crds import conditions as c
from wharfinger_crds import names
from wharfinger_crds.installation import Installation
from wharfinger_crds.registry_entry import SelfHosted
from wharfinger_operator.plan.docker_config import RegistryLogin, logins_for
from wharfinger_operator.plan.identity import Identity
from wharfinger_operator.plan.image_reference import ImageReference, parse_reference
from wharfinger_operator.plan.pull_secret import PullSecret
from wharfinger_operator.world import EntryPoint, InstallationWorld

_WAITING: Final = "the image's entry point is being read from its registry"
_MEND: Final = "declare spec.selfHosted.command, or put that right"


@dataclass(frozen=True)
class ImageQuestion:
    """An image whose entry point is wanted, and who may be told."""

    image: str
    reference: ImageReference
    insecure: bool
    """The registry speaks plain HTTP."""
    logins: tuple[RegistryLogin, ...] = field(repr=False)
    basis: str
    """Of what the workload is made; another one means reading a tag anew."""

    @property
    def fingerprint(self) -> str:
        """What makes it the same question; holds no value."""
        logins = [(login.host, login.path, login.username, login.password) for login in self.logins]
        return hashlib.sha256(json.dumps([self.image, self.insecure, logins, self.basis]).encode()).hexdigest()


@dataclass(frozen=True)
class Known:
    """An entry point, and the annotation that keeps it."""

    entry_point: EntryPoint
    annotation: str


@dataclass(frozen=True)
class Unknown:
    """Why there is none, and what is to be asked."""

    finding: c.Finding
    question: ImageQuestion | None = field(default=None, repr=False)


def entry_point_of(
    world: InstallationWorld, installation: Installation, identity: Identity, hosted: SelfHosted, pulls: Iterable[PullSecret]
) -> Known | Unknown | None:
    """Return the entry point of the server's image; None where it is not needed."""
    reference = parse_reference(hosted.image) if hosted.image else None
    if hosted.transport != "Stdio" or hosted.command or hosted.image is None or reference is None:
        return None
    basis = names.short_hash(json.dumps(hosted.manifest(), sort_keys=True), installation.metadata.annotations.get(names.RESTARTED_AT, ""))
    kept = _kept(world, identity, hosted.image)
    if kept and (reference.digest or kept[1] == basis):
        return _known(world, identity, hosted, kept[0], kept[1])
    insecure = is_loopback(reference.host) or reference.host in world.settings.images.insecure_registries
    logins = logins_for(reference, (login for pull in pulls for login in pull.logins))
    question = ImageQuestion(hosted.image, reference, insecure, logins, basis)
    answer = world.image if world.image and world.image.fingerprint == question.fingerprint else None
    if answer is None:
        return Unknown(_pending(installation), question)
    if answer.entry_point is None and kept is None:
        return Unknown(_unreadable(f"image {hosted.image}: {answer.message}; {_MEND}"), question)
    return _known(world, identity, hosted, answer.entry_point or kept[0], basis)  # type: ignore[index]  # one of the two is there


def is_loopback(registry: str) -> bool:
    """Tell whether a registry is on this machine, as far as its name says."""
    host = registry.rsplit(":", 1)[0] if not registry.endswith("]") else registry
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _known(world: InstallationWorld, identity: Identity, hosted: SelfHosted, found: EntryPoint, basis: str) -> Known | Unknown:
    if not (*found.entrypoint, *(hosted.args or found.command)):
        return Unknown(_unreadable(f"image {hosted.image} has neither ENTRYPOINT nor CMD: declare spec.selfHosted.command"))
    document = {"image": hosted.image, "basis": basis, "entrypoint": found.entrypoint, "cmd": found.command}
    return Known(found, json.dumps({**document, "mac": _mac(world, identity, document)}, sort_keys=True))


def _kept(world: InstallationWorld, identity: Identity, image: str) -> tuple[EntryPoint, str] | None:
    """Return entry point and basis from the live Deployment, in its absence from the one that is about to be replaced in another namespace.

    Not what somebody else wrote there, who would choose what runs.
    """
    live = [o["metadata"] for o in world.owned if o["kind"] == "Deployment" and o["metadata"]["name"] == identity.server]
    for meta in sorted(live, key=lambda meta: (meta["namespace"] != identity.server_namespace, meta["namespace"]))[:1]:
        try:
            document = json.loads(meta.get("annotations", {}).get(names.IMAGE_CONFIG, ""))
            mac = document.pop("mac")
            if not hmac.compare_digest(str(mac).encode(), _mac(world, identity, document).encode()) or document["image"] != image:
                return None
            return EntryPoint(tuple(document["entrypoint"]), tuple(document["cmd"])), document["basis"]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
    return None


def _mac(world: InstallationWorld, identity: Identity, document: Mapping[str, Any]) -> str:
    signed = json.dumps([identity.namespace, identity.name, document], sort_keys=True)
    return hmac.new(world.root_key, f"image-config\0{signed}".encode(), hashlib.sha256).hexdigest()[:32]


def _pending(installation: Installation) -> c.Finding:
    """Return what was said last time, so that a restart of the operator writes nothing; else that the answer is awaited."""
    before = installation.status.condition(c.VALUES_RESOLVED)
    if before is not None and before.reason == c.IMAGE_UNREADABLE:
        return _unreadable(before.message)
    return c.unknown(c.VALUES_RESOLVED, c.WAITING, _WAITING)


def _unreadable(message: str) -> c.Finding:
    return c.false(c.VALUES_RESOLVED, c.IMAGE_UNREADABLE, message)
