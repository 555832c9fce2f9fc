"""What is wrong with an entry by itself: named checks in order, the first finding counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from wharfinger_bridge.command import MOUNT_PATH, TOKEN_MOUNT_PATH
from wharfinger_crds import conditions as c
from wharfinger_crds.duration import seconds
from wharfinger_crds.registry_entry import RegistryEntry, RegistryEntrySpec
from wharfinger_mcp.endpoint import parse_endpoint
from wharfinger_mcp.errors import MisconfiguredError
from wharfinger_operator.plan.example_pod import example_problem
from wharfinger_operator.plan.fields import FieldValues, is_pattern, placeholders, render, value_problem
from wharfinger_operator.plan.image_reference import is_registry, parse_reference
from wharfinger_operator.plan.once import once
from wharfinger_operator.plan.override_checks import override_problem
from wharfinger_operator.plan.templates import templates

_CLOSED: Final = (MOUNT_PATH, TOKEN_MOUNT_PATH)
"""Mounted read-only: nothing may lie below them."""
_MOUNTED: Final = (*_CLOSED, "/tmp", "/home/mcp")  # noqa: S108 - the container's own
Check = Callable[[RegistryEntrySpec], c.Finding | None]


def _refused(reason: str, message: str) -> c.Finding:
    return c.false(c.ACCEPTED, reason, message)


def _unbuilt(spec: RegistryEntrySpec) -> Iterator[str]:
    if spec.remote and spec.remote.ca_bundle_ref:
        yield "spec.remote.caBundleRef"
    if spec.auth and spec.auth.type not in {"None", "Static"}:
        yield f"spec.auth.type: {spec.auth.type}"


def not_implemented(spec: RegistryEntrySpec) -> c.Finding | None:
    """Name the fields that this version has no behaviour for: silence would be a promise."""
    unbuilt = sorted(_unbuilt(spec))
    return _refused(c.NOT_IMPLEMENTED, f"not implemented in this version: {'; '.join(unbuilt)}") if unbuilt else None


def invalid_pattern(spec: RegistryEntrySpec) -> c.Finding | None:
    """Find patterns that are no regular expression, or one that needs backtracking."""
    for field in spec.fields:
        if field.pattern is not None and not is_pattern(field.pattern):
            return _refused(
                c.INVALID,
                f"spec.fields[{field.name}].pattern is not a regular expression of RE2's syntax (no look-around, no back-references)",
            )
    return None


def invalid_default(spec: RegistryEntrySpec) -> c.Finding | None:
    """Find defaults that no installation could give as a value."""
    for field in spec.fields:
        if field.default is not None and (problem := value_problem(field, field.default)):
            return _refused(c.INVALID, f"spec.fields[{field.name}].default {problem}")
    return None


def invalid_image(spec: RegistryEntrySpec) -> c.Finding | None:
    """Find images and registries whose names are none."""
    if spec.self_hosted is None:
        return None
    if spec.self_hosted.image is not None and parse_reference(spec.self_hosted.image) is None:
        return _refused(c.INVALID, "spec.selfHosted.image is no name of an image such as ghcr.io/acme/server:1.2 (paths are lower case)")
    for credentials in spec.self_hosted.registry_credentials:
        if not is_registry(credentials.server):
            return _refused(
                c.INVALID,
                f"spec.selfHosted.registryCredentials[{credentials.server}].server is no host such as ghcr.io or registry.acme.dev:5000",
            )
    return None


def invalid_url(spec: RegistryEntrySpec) -> c.Finding | None:
    """Find URLs that no installation could connect to; a schema sees neither a host's spelling nor a port's size."""
    if spec.remote is None:
        return None
    try:
        parse_endpoint(render(spec.remote.url, FieldValues({}, frozenset())))
    except MisconfiguredError as error:
        return _refused(c.INVALID, f"spec.remote.url: {error.message}")
    return None


def invalid_file(spec: RegistryEntrySpec) -> c.Finding | None:
    """Find files that would lie where something else is mounted, or nowhere."""
    for file in spec.self_hosted.files if spec.self_hosted else ():
        path = file.path
        if ":" in path or {".", ".."} & set(path.split("/")):
            return _refused(c.INVALID, f"spec.selfHosted.files[{path}]: the path has a colon, or a part . or ..")
        taken = next((at for at in _MOUNTED if path == at or (at in _CLOSED and path.startswith(f"{at}/"))), None)
        if taken:
            return _refused(c.INVALID, f"spec.selfHosted.files[{path}]: {taken} is mounted by the platform: use another path")
    return None


def file_in_header(spec: RegistryEntrySpec) -> c.Finding | None:
    """Find contents of files, which have line breaks, where there can be none."""
    files = {field.name for field in spec.fields if field.type == "File"}
    for place, template, _ in templates(spec):
        if place.startswith(("spec.headers", "spec.auth", "spec.remote")) and (named := files.intersection(placeholders(template))):
            return _refused(c.INVALID, f"{place} names field {min(named)} of type File, which may have line breaks: use it in env or files")
    return None


def invalid_duration(spec: RegistryEntrySpec) -> c.Finding | None:
    """Find times that would hammer, never ask or never end."""
    stdio = spec.self_hosted.stdio if spec.self_hosted else None
    if stdio and stdio.idle_timeout and not 10 <= seconds(stdio.idle_timeout) <= 86400:
        return _refused(c.INVALID, "spec.selfHosted.stdio.idleTimeout is not between 10s and 24h")
    if stdio and stdio.sessions == "Shared" and (stdio.max_sessions or stdio.idle_timeout):
        return _refused(c.INVALID, "spec.selfHosted.stdio: maxSessions and idleTimeout go with sessions: PerSession")
    if spec.discovery and seconds(spec.discovery.interval) < 10:
        return _refused(c.INVALID, "spec.discovery.interval is below 10s")
    if spec.discovery and not 1 <= seconds(spec.discovery.timeout) <= 300:
        return _refused(c.INVALID, "spec.discovery.timeout is not between 1s and 5m")
    return None


def unknown_field(spec: RegistryEntrySpec) -> c.Finding | None:
    """Find `${fields.NAME}` without such a field."""
    declared = {field.name for field in spec.fields}
    for place, template, _ in templates(spec):
        for name in placeholders(template):
            if name not in declared:
                return _refused(c.UNKNOWN_FIELD, f"{place} names ${{fields.{name}}}, and spec.fields has no {name}")
    return None


def secret_in_plain_sight(spec: RegistryEntrySpec) -> c.Finding | None:
    """Find secret fields where everyone could read them: URLs, command and arguments."""
    secret = {field.name for field in spec.fields if field.secret}
    for place, template, may_hold_secrets in templates(spec):
        for name in placeholders(template):
            if name in secret and not may_hold_secrets:
                return _refused(
                    c.SECRET_IN_PLAIN_SIGHT, f"{place} names the secret field {name}: use it in env, files, headers or auth instead"
                )
    return None


def credential_for_stdio(spec: RegistryEntrySpec) -> c.Finding | None:
    """Find credentials in headers, which a stdio server never sees."""
    stdio = spec.self_hosted is not None and spec.self_hosted.transport == "Stdio"
    if stdio and ((spec.auth and spec.auth.type != "None") or spec.headers):
        return _refused(
            c.INVALID,
            "a Stdio server sees no headers: use the fields in spec.selfHosted.env or files instead of spec.auth and spec.headers",
        )
    return None


def credential_twice(spec: RegistryEntrySpec) -> c.Finding | None:
    """Find a header that would fight with the credential."""
    static = spec.auth.static if spec.auth else None
    header = (static.header or "authorization").lower() if static else "authorization"
    for extra in spec.headers:
        if extra.name.lower() in {header, "authorization"}:
            return _refused(c.CONFLICT, f"spec.headers[{extra.name}]: the credential goes into spec.auth")
    return None


def override_not_allowed(spec: RegistryEntrySpec) -> c.Finding | None:
    """Find a partial Deployment spec that may not be merged."""
    return override_problem(spec.self_hosted) if spec.self_hosted else None


def pod_not_hardened(spec: RegistryEntrySpec) -> c.Finding | None:
    """Find an override that no installation's pod could have; an environment's defaults may still be the reason for one."""
    return example_problem(spec.self_hosted) if spec.self_hosted and spec.self_hosted.deployment else None


CHECKS: Final[tuple[Check, ...]] = (
    not_implemented,
    invalid_pattern,
    invalid_default,
    invalid_image,
    invalid_url,
    invalid_file,
    invalid_duration,
    unknown_field,
    secret_in_plain_sight,
    file_in_header,
    credential_for_stdio,
    credential_twice,
    override_not_allowed,
    pod_not_hardened,
)


@once
def entry_problem(entry: RegistryEntry) -> c.Finding | None:
    """Return why an entry cannot be used (Accepted=False), or None."""
    return next((finding for check in CHECKS if (finding := check(entry.spec))), None)
