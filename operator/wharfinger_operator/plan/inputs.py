"""Everything from elsewhere that an installation needs before something can be made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wharfinger_crds import conditions as c
from wharfinger_crds.installation import Installation
from wharfinger_crds.registry_entry import RegistryEntry
from wharfinger_operator.plan.catalog import environment_values
from wharfinger_operator.plan.entry_point import Known, Unknown, entry_point_of
from wharfinger_operator.plan.fields import FieldValues, placeholders, resolve_fields
from wharfinger_operator.plan.identity import Identity
from wharfinger_operator.plan.pull_secret import PullSecret, pull_secrets
from wharfinger_operator.plan.templates import templates
from wharfinger_operator.world import InstallationWorld


@dataclass(frozen=True)
class Inputs:
    """What was found."""

    fields: FieldValues
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Values of the environment variables that come from the catalog namespace."""
    pull_secrets: tuple[PullSecret, ...] = ()
    entry_point: Known | None = None


def resolve_inputs(world: InstallationWorld, installation: Installation, entry: RegistryEntry, identity: Identity) -> Inputs | Unknown:
    """Return the inputs, or the first finding (ValuesResolved) that says what is missing."""
    fields = resolve_fields(entry.spec.fields, installation.spec, world.secrets)
    if isinstance(fields, c.Finding):
        return Unknown(fields)
    if problem := _secret_in_plain_sight(entry, fields):
        return Unknown(problem)
    hosted, namespace = entry.spec.self_hosted, world.settings.namespaces.catalog
    if hosted is None:
        return Inputs(fields)
    env = environment_values(hosted, world.catalog, namespace)
    if isinstance(env, c.Finding):
        return Unknown(env)
    pulls = pull_secrets(hosted, world.catalog, namespace)
    if isinstance(pulls, c.Finding):
        return Unknown(pulls)
    entry_point = entry_point_of(world, installation, identity, hosted, pulls)
    return entry_point if isinstance(entry_point, Unknown) else Inputs(fields, env, pulls, entry_point)


def _secret_in_plain_sight(entry: RegistryEntry, fields: FieldValues) -> c.Finding | None:
    """Find values from Secrets that would be readable, although the entry does not call their field secret."""
    for place, template, may_hold_secrets in templates(entry.spec):
        for name in placeholders(template):
            if name in fields.secret and not may_hold_secrets:
                return c.false(
                    c.VALUES_RESOLVED,
                    c.SECRET_IN_PLAIN_SIGHT,
                    f"field {name} comes from a Secret, and everyone could read it in the entry's {place}: give it in values if it is no secret",
                )
    return None
