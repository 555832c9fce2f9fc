"""Why an installation is not accepted: named checks in order, the first finding counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from wharfinger_crds import conditions as c
from wharfinger_crds import names
from wharfinger_crds.environment import Environment
from wharfinger_crds.installation import Installation
from wharfinger_crds.pod_defaults import resources_problem
from wharfinger_crds.registry_entry import RegistryEntry
from wharfinger_crds.settings import Settings
from wharfinger_operator.plan.egress import egress_problem
from wharfinger_operator.plan.entry_checks import entry_problem
from wharfinger_operator.plan.image_rules import base_image_problem, image_problem, pattern_problem
from wharfinger_operator.plan.once import once
from wharfinger_operator.plan.override_checks import sidecar_images
from wharfinger_operator.world import InstallationWorld

Check = Callable[[InstallationWorld, Installation], c.Finding | None]


def _refused(reason: str, message: str) -> c.Finding:
    return c.false(c.ACCEPTED, reason, message)


def environment_name(world: InstallationWorld) -> str | None:
    """Return the name of the environment that the installation asks for; None: the default one, and there is none."""
    spec = world.installation.spec if world.installation else None
    if spec and spec.environment_ref:
        return spec.environment_ref.name
    if world.entry and world.entry.spec.environment_ref:
        return world.entry.spec.environment_ref.name
    return _default_environment(world)


def _default_environment(world: InstallationWorld) -> str | None:
    return min((name for name, e in world.environments.items() if e.spec.default), default=None)


def environment_of(world: InstallationWorld) -> Environment | None:
    """Return the environment of the installation, if there is one."""
    name = environment_name(world)
    return world.environments.get(name) if name else None


def server_namespace(environment: Environment, settings: Settings) -> str:
    """Return the namespace in which an environment's servers run."""
    return environment.spec.namespace or settings.namespaces.servers[0]


def namespace_not_tenant(world: InstallationWorld, _: Installation) -> c.Finding | None:
    """Find installations outside of the tenant namespaces."""
    if world.grants is None:
        return _refused(
            c.NAMESPACE_NOT_TENANT,
            f"namespace {world.namespace} is not among the tenants of the platform settings (Helm value namespaces.tenants)",
        )
    return None


def owner_not_granted(world: InstallationWorld, installation: Installation) -> c.Finding | None:
    """Find owners whom a cluster admin did not grant to the namespace."""
    owner = installation.spec.owner
    if world.grants and not world.grants.covers_owner(owner):
        key = names.USERS_GRANT if owner.user else names.TEAMS_GRANT
        return _refused(
            c.OWNER_NOT_GRANTED,
            f'namespace {world.namespace} may not hold objects of {owner}: a cluster admin grants it by the annotation {key}: "{owner.user or owner.team}"',
        )
    return None


def entry_missing(world: InstallationWorld, installation: Installation) -> c.Finding | None:
    """Find entries that are not there."""
    return None if world.entry else _refused(c.ENTRY_NOT_FOUND, f"there is no McpRegistryEntry {installation.spec.entry_ref.name}")


def entry_not_accepted(world: InstallationWorld, _: Installation) -> c.Finding | None:
    """Find entries that cannot be used themselves."""
    problem = entry_problem(world.entry) if world.entry else None
    return (
        _refused(c.ENTRY_NOT_ACCEPTED, f"McpRegistryEntry {world.entry.metadata.name}: {problem.message}")
        if world.entry and problem
        else None
    )


def may_see_entry(entry: RegistryEntry, user: str | None, teams: frozenset[str]) -> bool:
    """Tell whether a user or a team may see an entry."""
    visibility = entry.spec.visibility
    return visibility is None or visibility.scope == "Org" or not teams.isdisjoint(visibility.teams)


def entry_not_visible(world: InstallationWorld, installation: Installation) -> c.Finding | None:
    """Find entries that the owner may not see; the message is the one of a missing entry, so that it tells nothing."""
    owner = installation.spec.owner
    teams = world.settings.teams_of(owner.user) if owner.user else frozenset({owner.team or ""})
    if world.entry and not may_see_entry(world.entry, owner.user, teams):
        return _refused(c.ENTRY_NOT_FOUND, f"there is no McpRegistryEntry {installation.spec.entry_ref.name}")
    return None


def environment_not_allowed(world: InstallationWorld, installation: Installation) -> c.Finding | None:
    """Find environments that the entry does not offer."""
    ref, entry = installation.spec.environment_ref, world.entry
    if ref is None or entry is None:
        return None
    own = entry.spec.environment_ref.name if entry.spec.environment_ref else None
    effective = own or _default_environment(world)
    allowed = sorted({*entry.spec.allowed_environments, *([effective] if effective else [])})
    if ref.name not in allowed:
        return _refused(
            c.ENVIRONMENT_NOT_ALLOWED, f"the entry does not allow environment {ref.name}; it allows: {', '.join(allowed) or 'none'}"
        )
    return None


def environment_missing(world: InstallationWorld, _: Installation) -> c.Finding | None:
    """Find environments that are not there, also the default one."""
    name = environment_name(world)
    if name is None:
        return _refused(
            c.ENVIRONMENT_NOT_FOUND, "neither installation nor entry names an environment, and no Environment has `default: true`"
        )
    return None if name in world.environments else _refused(c.ENVIRONMENT_NOT_FOUND, f"there is no Environment {name}")


@once
def environment_problem(environment: Environment, settings: Settings) -> c.Finding | None:
    """Return why nothing can run in an environment (Accepted=False), or None."""
    spec = environment.spec
    if (namespace := server_namespace(environment, settings)) not in settings.namespaces.servers:
        return _refused(
            c.INVALID,
            f"spec.namespace: {namespace} is none of the server namespaces of the platform settings: {', '.join(settings.namespaces.servers)}",
        )
    if spec.pod_defaults and (problem := resources_problem(spec.pod_defaults)):
        return _refused(c.INVALID, f"spec.podDefaults.{problem}")
    return pattern_problem(spec) or egress_problem(spec.egress)


def environment_not_accepted(world: InstallationWorld, _: Installation) -> c.Finding | None:
    """Find environments that cannot be used themselves."""
    environment = environment_of(world)
    problem = environment_problem(environment, world.settings) if environment else None
    return (
        _refused(c.ENVIRONMENT_NOT_ACCEPTED, f"Environment {environment.metadata.name}: {problem.message}")
        if environment and problem
        else None
    )


def allows_namespace(environment: Environment, world: InstallationWorld) -> bool:
    """Tell whether an environment is for the installation's namespace."""
    allowed = environment.spec.allowed_namespaces
    if allowed is None or world.namespace in allowed.names:
        return True
    return allowed.selector is not None and all(world.namespace_labels.get(k) == v for k, v in allowed.selector.items())


def restricted_not_named(world: InstallationWorld, installation: Installation) -> c.Finding | None:
    """Find installations that would run in a restricted environment without naming it.

    Who wrote an object is known to admission only, which checks the right of whoever names a restricted environment, and sees no entry: an
    installation that names none could come into one by its entry, or by what is the default, without anybody having been asked.
    """
    environment = environment_of(world)
    if environment is None or not environment.spec.restricted or installation.spec.environment_ref is not None:
        return None
    name = environment.metadata.name
    return _refused(
        c.ENVIRONMENT_NOT_NAMED,
        f"Environment {name} is restricted: name it in spec.environmentRef, which takes the verb deploy-to-restricted"
        f" on environments.{names.GROUP}/{name}",
    )


def namespace_not_allowed(world: InstallationWorld, _: Installation) -> c.Finding | None:
    """Find environments that are for other namespaces."""
    environment = environment_of(world)
    if environment is None or allows_namespace(environment, world):
        return None
    return _refused(
        c.NAMESPACE_NOT_ALLOWED,
        f"Environment {environment.metadata.name} does not allow installations of namespace {world.namespace} (its spec.allowedNamespaces)",
    )


def image_not_allowed(world: InstallationWorld, _: Installation) -> c.Finding | None:
    """Find images that the environment does not allow; the base image has a rule of its own."""
    environment, hosted = environment_of(world), world.entry.spec.self_hosted if world.entry else None
    if environment is None or hosted is None:
        return None
    return base_image_problem(environment) if hosted.image is None else image_problem(environment, hosted.image)


def sidecar_not_allowed(world: InstallationWorld, _: Installation) -> c.Finding | None:
    """Find images of sidecars that the environment does not allow."""
    environment, hosted = environment_of(world), world.entry.spec.self_hosted if world.entry else None
    images = sidecar_images(hosted.deployment) if hosted and environment else ()
    return next((problem for image in images if environment and (problem := image_problem(environment, image))), None)


CHECKS: Final[tuple[Check, ...]] = (
    namespace_not_tenant,
    owner_not_granted,
    entry_missing,
    entry_not_visible,
    entry_not_accepted,
    environment_not_allowed,
    environment_missing,
    environment_not_accepted,
    namespace_not_allowed,
    restricted_not_named,
    image_not_allowed,
    sidecar_not_allowed,
)


def installation_problem(world: InstallationWorld, installation: Installation) -> c.Finding | None:
    """Return why an installation is not accepted (Accepted=False), or None."""
    return next((finding for check in CHECKS if (finding := check(world, installation))), None)
