"""The status of a gateway: which assignments give tools today, and what is missing until someone can use it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wharfinger_crds import conditions as c
from wharfinger_crds import names, passthrough
from wharfinger_crds.gateway import Authentication, GatewaySpec, GatewayStatus, ToolAssignment, UnresolvedTool
from wharfinger_crds.installation import Installation
from wharfinger_crds.tool_selection import missing_tools, selected_tools
from wharfinger_operator.world import GatewayWorld


@dataclass(frozen=True)
class _Resolved:
    tools: int
    problem: UnresolvedTool | None = None


def _unbuilt(spec: GatewaySpec) -> Iterator[str]:
    if spec.exposure != "All":
        yield f"spec.exposure: {spec.exposure}"


def _doors(authentication: Authentication) -> Iterator[bool]:
    """Tell of each way to come in whether it is open."""
    for door in (authentication.oauth, authentication.bearer_tokens, authentication.service_accounts):
        yield door is not None and door.enabled
    for provider in authentication.identity_providers:
        yield provider.jwks or provider.id_jag


def accepted_finding(world: GatewayWorld) -> c.Finding:
    """Return Accepted."""
    meta, spec = world.gateway.metadata, world.gateway.spec
    if world.grants is None:
        return c.false(
            c.ACCEPTED,
            c.NAMESPACE_NOT_TENANT,
            f"namespace {meta.namespace} is not among the tenants of the platform settings (Helm value namespaces.tenants)",
        )
    missing = world.grants.missing_for(spec.visibility)
    if missing:
        return c.false(
            c.ACCEPTED,
            c.SCOPE_NOT_GRANTED,
            f"namespace {meta.namespace} may not hold a gateway of this visibility: a cluster admin grants it by the annotation {missing}",
        )
    unbuilt = sorted(_unbuilt(spec))
    if unbuilt:
        return c.false(c.ACCEPTED, c.NOT_IMPLEMENTED, f"not implemented in this version: {'; '.join(unbuilt)}")
    forbidden = sorted(name for name in spec.header_passthrough if passthrough.is_forbidden(name))
    if forbidden:
        return c.false(c.ACCEPTED, c.INVALID, f"spec.headerPassthrough: {', '.join(forbidden)}: {passthrough.MESSAGE}")
    if not any(_doors(spec.authentication)):
        return c.false(
            c.ACCEPTED,
            c.NO_AUTHENTICATION,
            "nobody can come in: enable oauth, bearerTokens or serviceAccounts in spec.authentication, or list an identity provider there",
        )
    providers = {one.name for one in world.settings.identity_providers}
    unknown = sorted(one.name for one in spec.authentication.identity_providers if one.name not in providers)
    if unknown:
        return c.false(
            c.ACCEPTED,
            c.INVALID,
            f"spec.authentication.identityProviders: {', '.join(unknown)}: no such identity provider in the platform settings",
        )
    oauth = spec.authentication.oauth
    if oauth and oauth.enabled and not providers and world.settings.oauth.development_login is None:
        return c.false(
            c.ACCEPTED, c.NO_AUTHENTICATION, "spec.authentication.oauth: the platform settings have no identity provider to log in at"
        )
    return c.true(c.ACCEPTED)


def gateway_status(world: GatewayWorld, now: str) -> GatewayStatus:
    """Return the status to report: Ready with at least one tool, one way to log in and someone who can see it."""
    meta, spec = world.gateway.metadata, world.gateway.spec
    resolved = tuple(_resolve(world, assignment) for assignment in spec.tools)
    problems = tuple(r.problem for r in resolved if r.problem)
    count = sum(r.tools for r in resolved)
    accepted = accepted_finding(world)
    references = (
        c.false(c.REFERENCES_RESOLVED, c.INSTALLATION_NOT_READY, "; ".join(f"{p.tool}: {p.reason}" for p in problems))
        if problems
        else c.true(c.REFERENCES_RESOLVED)
    )
    gating = [accepted]
    if not count:
        why = "; ".join(f"{p.tool}: {p.reason}" for p in problems) or "spec.tools chooses nothing: name tools in include"
        gating.append(c.false(c.REFERENCES_RESOLVED, c.NO_TOOLS, f"no tool can be offered: {why}"))
    ready, *rest = c.summary(gating)
    info = [f for f in rest if f.type not in {c.ACCEPTED, c.REFERENCES_RESOLVED}]
    findings = (ready, accepted, references if count else gating[1], *info)
    return GatewayStatus(
        observed_generation=meta.generation,
        conditions=c.merged(world.gateway.status.conditions, findings, meta.generation, now),
        url=world.settings.public_url + names.endpoint_path(meta.namespace, meta.name),
        tool_count=count,
        unresolved=problems,
    )


def _resolve(world: GatewayWorld, assignment: ToolAssignment) -> _Resolved:
    label = assignment.installation_ref.name if assignment.installation_ref else assignment.entry_ref.name if assignment.entry_ref else ""
    if not assignment.include:
        return _Resolved(0, UnresolvedTool(tool=label, reason="include names no tool"))
    source = _pinned(world, label) if assignment.installation_ref else _of_entry(world, label, assignment)
    if isinstance(source, str):
        return _Resolved(0, UnresolvedTool(tool=label, reason=source))
    tools = source.status.tools
    have, all_of_them = (_names(world, tools.offered), _names(world, tools.hash)) if tools else ((), ())
    chosen = len(selected_tools(assignment, have))
    problem = _lacking(missing_tools(assignment, have), frozenset(all_of_them))
    if problem or not all_of_them:
        return _Resolved(chosen, UnresolvedTool(tool=label, reason=problem or "the server has no tools"))
    withheld = len(selected_tools(assignment, all_of_them))
    if withheld and not chosen:
        return _Resolved(0, UnresolvedTool(tool=label, reason="what include matches is withheld until its definitions are accepted"))
    return _Resolved(chosen, None if chosen else UnresolvedTool(tool=label, reason="no tool of the server matches include"))


def _names(world: GatewayWorld, tools_hash: str) -> tuple[str, ...]:
    stored = world.stored.get(names.tools_name(tools_hash))
    return stored.names if stored else ()


def _lacking(missing: tuple[str, ...], known: frozenset[str]) -> str:
    absent, withheld = [name for name in missing if name not in known], [name for name in missing if name in known]
    parts = (
        f"the server has no tool {', '.join(absent)}" if absent else "",
        f"withheld until their definitions are accepted: {', '.join(withheld)}" if withheld else "",
    )
    return "; ".join(part for part in parts if part)


def _pinned(world: GatewayWorld, name: str) -> Installation | str:
    namespace = world.gateway.metadata.namespace
    installation = next((i for i in world.installations if (i.metadata.namespace, i.metadata.name) == (namespace, name)), None)
    if installation is None:
        return f"there is no McpInstallation {name} in namespace {namespace}"
    return installation if installation.status.tools else _not_ready(installation)


def _not_ready(installation: Installation) -> str:
    ready = installation.status.condition(c.READY)
    return f"its tools are not known yet ({ready.reason}: {ready.message})" if ready else "its tools are not known yet"


def _of_entry(world: GatewayWorld, name: str, assignment: ToolAssignment) -> Installation | str:
    if name not in world.entries:
        return f"there is no McpRegistryEntry {name}"
    wanted = assignment.environment_ref.name if assignment.environment_ref else None
    usable = [i for i in world.installations if i.spec.entry_ref.name == name and i.status.tools and wanted in {None, i.status.environment}]
    newest = max(usable, key=lambda i: (i.metadata.creation_timestamp, i.metadata.namespace, i.metadata.name), default=None)
    return newest or "no installation of it has tools yet"
