"""Condition types and reasons, and how conditions are replaced without losing their transition times.

Reasons are part of the interface: people script against them. Messages are deterministic: no times, no counters that
change by themselves, lists sorted; otherwise every pass would write the status anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from wharfinger_crds.base import Condition

# Types
READY: Final = "Ready"
RECONCILING: Final = "Reconciling"
STALLED: Final = "Stalled"
ACCEPTED: Final = "Accepted"
VALUES_RESOLVED: Final = "ValuesResolved"
EGRESS_ENFORCED: Final = "EgressEnforced"
WORKLOAD_AVAILABLE: Final = "WorkloadAvailable"
AUTHORIZED: Final = "Authorized"
DISCOVERED: Final = "Discovered"
TOOLS_PINNED: Final = "ToolsPinned"
PROVIDER_RESOLVED: Final = "ProviderResolved"
DOMAIN_RULES_ENFORCED: Final = "DomainRulesEnforced"
DOMAINS_EXACT: Final = "DomainsExact"
RESTRICTION_ENFORCED: Final = "RestrictionEnforced"
REFERENCES_RESOLVED: Final = "ReferencesResolved"

# Reasons
SUCCEEDED: Final = "Succeeded"
NOT_IMPLEMENTED: Final = "NotImplemented"
INVALID: Final = "Invalid"
CONFLICT: Final = "Conflict"
FORBIDDEN: Final = "Forbidden"
WAITING: Final = "Waiting"
ENTRY_NOT_FOUND: Final = "EntryNotFound"
ENTRY_NOT_ACCEPTED: Final = "EntryNotAccepted"
ENVIRONMENT_NOT_FOUND: Final = "EnvironmentNotFound"
ENVIRONMENT_NOT_ALLOWED: Final = "EnvironmentNotAllowed"
ENVIRONMENT_NOT_ACCEPTED: Final = "EnvironmentNotAccepted"
ENVIRONMENT_NOT_NAMED: Final = "EnvironmentNotNamed"
ADMISSION_MISSING: Final = "AdmissionMissing"
NAMESPACE_NOT_ALLOWED: Final = "NamespaceNotAllowed"
NAMESPACE_NOT_TENANT: Final = "NamespaceNotTenant"
OWNER_NOT_GRANTED: Final = "OwnerNotGranted"
IMAGE_NOT_ALLOWED: Final = "ImageNotAllowed"
OVERRIDE_NOT_ALLOWED: Final = "OverrideNotAllowed"
POD_NOT_HARDENED: Final = "PodNotHardened"
CHANGED_BY_ADMISSION: Final = "ChangedByAdmission"
UNKNOWN_FIELD: Final = "UnknownField"
FIELD_MISSING: Final = "FieldMissing"
FIELD_INVALID: Final = "FieldInvalid"
SECRET_MISSING: Final = "SecretMissing"  # noqa: S105 - a reason
CONFIG_MAP_MISSING: Final = "ConfigMapMissing"
PULL_SECRET_INVALID: Final = "PullSecretInvalid"  # noqa: S105 - a reason
IMAGE_UNREADABLE: Final = "ImageUnreadable"
SECRET_IN_PLAIN_SIGHT: Final = "SecretInPlainSight"  # noqa: S105 - a reason
DEFAULT_DENY_MISSING: Final = "DefaultDenyMissing"
NOT_NEEDED: Final = "NotNeeded"
NO_FQDN_PROVIDER: Final = "NoFQDNProvider"
AWAITING_PROVIDER: Final = "AwaitingProvider"
DNS_UNKNOWN: Final = "DNSUnknown"
PROVIDER_MISSING: Final = "ProviderMissing"
DOMAIN_WIDENED: Final = "DomainWidened"
DOMAIN_DEPTH_LIMITED: Final = "DomainDepthLimited"
PORTS_UNSUPPORTED: Final = "PortsUnsupported"
TOO_MANY_ADDRESSES: Final = "TooManyAddresses"
NO_EVIDENCE: Final = "NoEvidence"
PROBE_PASSED: Final = "ProbePassed"
PROBE_FAILED: Final = "ProbeFailed"
PROBE_INCONCLUSIVE: Final = "ProbeInconclusive"
PROVIDER_ACKNOWLEDGED: Final = "ProviderAcknowledged"
POLICY_REJECTED: Final = "PolicyRejected"
POLICY_DISABLED: Final = "PolicyDisabled"
CONTROLLER_DISABLED: Final = "ControllerDisabled"
AUDIT_MODE: Final = "AuditMode"
NOT_AUTO_MODE: Final = "NotAutoMode"
ACNS_REQUIRED: Final = "ACNSRequired"
FQDN_FEATURE_DISABLED: Final = "FQDNFeatureDisabled"
L7_PROXY_DISABLED: Final = "L7ProxyDisabled"
FOREIGN_CRD_SCHEMA: Final = "ForeignCRDSchema"
EGRESS_NOT_ENFORCED: Final = "EgressNotEnforced"
SUSPENDED: Final = "Suspended"
REMOTE: Final = "Remote"
PROGRESSING: Final = "Progressing"
IMAGE_PULL_FAILED: Final = "ImagePullFailed"
CRASHED: Final = "Crashed"
CANNOT_START: Final = "CannotStart"
NOT_MCP: Final = "NotMcp"
NOT_LISTENING: Final = "NotListening"
PACKAGES_UNAVAILABLE: Final = "PackagesUnavailable"
QUOTA_EXCEEDED: Final = "QuotaExceeded"
PODS_REFUSED: Final = "PodsRefused"
UNSCHEDULABLE: Final = "Unschedulable"
DISCOVERY_FAILED: Final = "DiscoveryFailed"
DEFINITIONS_TOO_LARGE: Final = "DefinitionsTooLarge"
DEFINITIONS_DROPPED: Final = "DefinitionsDropped"
DEFINITIONS_CHANGED: Final = "DefinitionsChanged"
DEFINITIONS_NOT_ACCEPTED: Final = "DefinitionsNotAccepted"
FIRST_SEEN: Final = "FirstSeen"
CREDENTIAL_REFUSED: Final = "CredentialRefused"
EGRESS_REFUSED: Final = "EgressRefused"
MANY_DEFAULTS: Final = "ManyDefaults"
NO_TOOLS: Final = "NoTools"
NO_AUTHENTICATION: Final = "NoAuthentication"
SCOPE_NOT_GRANTED: Final = "ScopeNotGranted"
INSTALLATION_NOT_READY: Final = "InstallationNotReady"
EXPIRED: Final = "Expired"
DISABLED: Final = "Disabled"
NOT_HONOURED: Final = "NotHonoured"
DUPLICATE: Final = "Duplicate"

STALLED_REASONS: Final = frozenset(
    {
        NOT_IMPLEMENTED,
        INVALID,
        CONFLICT,
        FORBIDDEN,
        SECRET_IN_PLAIN_SIGHT,
        UNKNOWN_FIELD,
        FIELD_INVALID,
        FIELD_MISSING,
        PULL_SECRET_INVALID,
        IMAGE_NOT_ALLOWED,
        OVERRIDE_NOT_ALLOWED,
        POD_NOT_HARDENED,
        ENVIRONMENT_NOT_ALLOWED,
        ENVIRONMENT_NOT_NAMED,
        ADMISSION_MISSING,
    }
)
"""Reasons that only a change by a person ends (kstatus: `Stalled`); for every other one the operator goes on (`Reconciling`)."""


MESSAGE_LIMIT: Final = 32768
"""Characters of a condition's message (metav1.Condition)."""


@dataclass(frozen=True)
class Finding:
    """A condition before it has a time: what a decision says."""

    type: str
    status: str
    reason: str
    message: str = ""


def true(kind: str, reason: str = SUCCEEDED, message: str = "") -> Finding:
    """Return a finding with status True."""
    return Finding(kind, "True", reason, message)


def false(kind: str, reason: str, message: str) -> Finding:
    """Return a finding with status False; `message` says what to do."""
    return Finding(kind, "False", reason, message)


def unknown(kind: str, reason: str, message: str) -> Finding:
    """Return a finding with status Unknown."""
    return Finding(kind, "Unknown", reason, message)


def merged(before: Iterable[Condition], findings: Sequence[Finding], generation: int, now: str) -> tuple[Condition, ...]:
    """Return the conditions for `findings`, in their order; a condition's time is `now` only where its status flips.

    `now` is RFC 3339. Conditions that no finding names are dropped; one that says what it said is the same object.
    """
    known = {c.type: c for c in before}
    return tuple(_condition(known.get(f.type), f, generation, now) for f in findings)


def _condition(before: Condition | None, found: Finding, generation: int, now: str) -> Condition:
    said = (found.status, found.reason, found.message[:MESSAGE_LIMIT], generation)
    if before is not None and said == (before.status, before.reason, before.message, before.observed_generation):
        return before
    return Condition(
        type=found.type,
        status=found.status,
        reason=found.reason,
        message=said[2],
        last_transition_time=before.last_transition_time if before is not None and before.status == found.status else now,
        observed_generation=generation,
    )


def summary(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return `findings` with `Ready` in front, and `Reconciling` or `Stalled` behind where kstatus expects them.

    Ready repeats the first finding that is False, or else the first that is Unknown.
    """
    open_findings = [f for f in findings if f.status != "True"]
    if not open_findings:
        return (true(READY), *findings)
    first = next((f for f in open_findings if f.status == "False"), open_findings[0])
    ready = Finding(READY, "False", first.reason, first.message)
    waiting = Finding(STALLED if first.reason in STALLED_REASONS else RECONCILING, "True", first.reason, first.message)
    return (ready, *findings, waiting)
