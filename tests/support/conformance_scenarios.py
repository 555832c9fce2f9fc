"""The scenarios of the official conformance suite that are tried, and what is lost of them between the eras."""

from collections.abc import Mapping

from conformance_gateway import Run
from conformance_suite import Leg

_BOTH: tuple[str, ...] = (
    "completion-complete",
    "tools-list",
    "tools-call-simple-text",
    "tools-call-image",
    "tools-call-audio",
    "tools-call-embedded-resource",
    "tools-call-mixed-content",
    "tools-call-error",
    "tools-call-with-progress",
    "server-sse-multiple-streams",
    "resources-list",
    "resources-read-text",
    "resources-read-binary",
    "resources-templates-read",
    "prompts-list",
    "prompts-get-simple",
    "prompts-get-with-args",
    "prompts-get-embedded-resource",
    "prompts-get-with-image",
    "dns-rebinding-protection",
)
"""What both revisions require of servers."""

REQUIRED: Mapping[Leg, Mapping[str, tuple[str, ...]]] = {
    "server": {
        "2025-11-25": (
            *_BOTH,
            "server-initialize",
            "logging-set-level",
            "ping",
            "tools-call-with-logging",
            "tools-call-sampling",
            "tools-call-elicitation",
            "elicitation-sep1034-defaults",
            "elicitation-sep1330-enums",
            "resources-subscribe",
            "resources-unsubscribe",
        ),
        "2026-07-28": (
            *_BOTH,
            "server-stateless",
            "sep-2164-resource-not-found",
            "caching",
            "input-required-result-basic-elicitation",
            "input-required-result-basic-sampling",
            "input-required-result-basic-list-roots",
            "input-required-result-request-state",
            "input-required-result-multiple-input-requests",
            "input-required-result-multi-round",
            "input-required-result-missing-input-response",
            "input-required-result-non-tool-request",
            "input-required-result-result-type",
            "input-required-result-unsupported-methods",
            "input-required-result-tampered-state",
            "input-required-result-capability-check",
            "input-required-result-ignore-extra-params",
            "input-required-result-validate-input",
        ),
    },
    "client": {
        "2025-11-25": (
            "initialize",
            "tools_call",
            "elicitation-sep1034-client-defaults",
            "sse-retry",
        ),
        "2026-07-28": (
            "tools_call",
            "request-metadata",
            "sep-2322-client-request-state",
            "http-standard-headers",
            "http-custom-headers",
            "http-invalid-tool-headers",
            "json-schema-ref-no-deref",
        ),
    },
}
"""By leg and revision, what its implementations must pass; of the client leg all but authorization."""

MORE: Mapping[Leg, Mapping[str, tuple[str, ...]]] = {
    "server": {
        "2025-11-25": (
            "json-schema-2020-12",
            "server-session-lifecycle",
            "server-sse-polling",
        ),
        "2026-07-28": (
            "http-custom-header-server-validation",
            "http-header-validation",
            "json-schema-2020-12",
        ),
    },
    "client": {
        "2025-11-25": ("json-schema-2020-12-preservation",),
        "2026-07-28": ("json-schema-2020-12-preservation",),
    },
}
"""What no revision requires, and we do."""

_OLDER: Mapping[str, frozenset[str]] = {
    # An older server's question has no name that a client could know beforehand.
    "input-required-result-basic-elicitation": frozenset({"sep-2322-elicitation-incomplete"}),
    "input-required-result-ignore-extra-params": frozenset({"sep-2322-ignore-unexpected-params"}),
    # An older server has no error of its own for what its client lacks.
    "server-stateless": frozenset({"sep-2575-server-rejects-undeclared-capability", "sep-2575-missing-capability-http-400"}),
}

LOST: Mapping[Run, Mapping[str, frozenset[str]]] = {
    # What a process that callers share logs names none of them.
    ("stdio", "2025-11-25"): {"tools-call-with-logging": frozenset({"tools-call-with-logging"})},
    ("legacy", "2026-07-28"): _OLDER,
    ("sse", "2026-07-28"): _OLDER,
    # Besides, tools are found out in a session of the operator's own.
    ("session", "2026-07-28"): {
        **_OLDER,
        "server-stateless": _OLDER["server-stateless"] | {"sep-2575-server-sends-tools-list-changed-on-subscription"},
    },
}
"""The checks that fail where the server is of another era than the client, or one process for all callers: what they want, such a server
has no words for. Every other check of every scenario passes over every transport."""
