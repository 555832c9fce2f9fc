"""How far the gateway passes the official conformance suite. What passes more is added here: a test fails until it is."""

from collections.abc import Mapping

from conformance_gateway import UPSTREAMS, UpstreamName

Passing = frozenset[UpstreamName]
"""The transports to the server over which a scenario passes."""

ALL: Passing = frozenset(UPSTREAMS)

SERVER_LEG: Mapping[str, Mapping[str, Passing]] = {
    "2025-11-25": {
        "server-initialize": ALL,
        "logging-set-level": ALL,
        "ping": ALL,
        "completion-complete": ALL,
        "tools-list": ALL,
        "tools-call-simple-text": ALL,
        "tools-call-image": ALL,
        "tools-call-audio": ALL,
        "tools-call-embedded-resource": ALL,
        "tools-call-mixed-content": ALL,
        "tools-call-with-logging": frozenset({"legacy", "modern", "sse", "session"}),
        "tools-call-error": ALL,
        "tools-call-with-progress": ALL,
        "tools-call-sampling": ALL,
        "tools-call-elicitation": ALL,
        "elicitation-sep1034-defaults": ALL,
        "server-sse-multiple-streams": ALL,
        "elicitation-sep1330-enums": ALL,
        "resources-list": ALL,
        "resources-read-text": ALL,
        "resources-read-binary": ALL,
        "resources-templates-read": ALL,
        "resources-subscribe": ALL,
        "resources-unsubscribe": ALL,
        "prompts-list": ALL,
        "prompts-get-simple": ALL,
        "prompts-get-with-args": ALL,
        "prompts-get-embedded-resource": ALL,
        "prompts-get-with-image": ALL,
        "dns-rebinding-protection": ALL,
        # What the revision does not require, and we do:
        "json-schema-2020-12": ALL,
        "server-session-lifecycle": ALL,
        "server-sse-polling": ALL,
    },
    "2026-07-28": {
        "server-stateless": frozenset({"modern", "stdio"}),
        "completion-complete": ALL,
        "tools-list": ALL,
        "tools-call-simple-text": ALL,
        "tools-call-image": ALL,
        "tools-call-audio": ALL,
        "tools-call-embedded-resource": ALL,
        "tools-call-mixed-content": ALL,
        "tools-call-error": ALL,
        "tools-call-with-progress": ALL,
        "server-sse-multiple-streams": ALL,
        "resources-list": ALL,
        "resources-read-text": ALL,
        "resources-read-binary": ALL,
        "resources-templates-read": ALL,
        "sep-2164-resource-not-found": ALL,
        "prompts-list": ALL,
        "prompts-get-simple": ALL,
        "prompts-get-with-args": ALL,
        "prompts-get-embedded-resource": ALL,
        "prompts-get-with-image": ALL,
        "dns-rebinding-protection": ALL,
        "caching": ALL,
        "input-required-result-basic-elicitation": frozenset({"modern", "stdio"}),
        "input-required-result-basic-sampling": ALL,
        "input-required-result-basic-list-roots": ALL,
        "input-required-result-request-state": ALL,
        "input-required-result-multiple-input-requests": frozenset({"modern", "stdio"}),
        "input-required-result-multi-round": ALL,
        "input-required-result-missing-input-response": ALL,
        "input-required-result-non-tool-request": ALL,
        "input-required-result-result-type": ALL,
        "input-required-result-unsupported-methods": ALL,
        "input-required-result-tampered-state": ALL,
        "input-required-result-capability-check": ALL,
        "input-required-result-ignore-extra-params": frozenset({"modern", "stdio"}),
        "input-required-result-validate-input": ALL,
        # What the revision does not require, and we do:
        "http-custom-header-server-validation": ALL,
        "http-header-validation": ALL,
        "json-schema-2020-12": ALL,
    },
}

CLIENT_LEG: Mapping[str, Mapping[str, bool]] = {
    "2025-11-25": {
        "initialize": True,
        "tools_call": True,
        "elicitation-sep1034-client-defaults": True,
        "sse-retry": True,
        # What the revision does not require, and we do:
        "json-schema-2020-12-preservation": True,
    },
    "2026-07-28": {
        "tools_call": True,
        "request-metadata": True,
        "sep-2322-client-request-state": True,
        "http-standard-headers": True,
        "http-custom-headers": True,
        "http-invalid-tool-headers": True,
        "json-schema-ref-no-deref": True,
        # What the revision does not require, and we do:
        "json-schema-2020-12-preservation": True,
    },
}
"""Whether the gateway passes a scenario as the client of the suite's server. Those of authorization are not here yet."""
