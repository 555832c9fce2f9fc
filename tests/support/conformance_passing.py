"""How far the gateway passes the official conformance suite. What passes more is added here: a test fails until it is."""

from collections.abc import Mapping

from conformance_gateway import UPSTREAMS, UpstreamName

Passing = frozenset[UpstreamName]
"""The transports to the server over which a scenario passes."""

ALL: Passing = frozenset(UPSTREAMS)
NONE: Passing = frozenset()

SERVER_LEG: Mapping[str, Mapping[str, Passing]] = {
    "2025-11-25": {
        "server-initialize": ALL,
        "logging-set-level": NONE,
        "ping": ALL,
        "completion-complete": NONE,
        "tools-list": ALL,
        "tools-call-simple-text": ALL,
        "tools-call-image": ALL,
        "tools-call-audio": ALL,
        "tools-call-embedded-resource": ALL,
        "tools-call-mixed-content": ALL,
        "tools-call-with-logging": NONE,
        "tools-call-error": ALL,
        "tools-call-with-progress": NONE,
        "tools-call-sampling": NONE,
        "tools-call-elicitation": NONE,
        "elicitation-sep1034-defaults": NONE,
        "server-sse-multiple-streams": ALL,
        "elicitation-sep1330-enums": NONE,
        "resources-list": NONE,
        "resources-read-text": NONE,
        "resources-read-binary": NONE,
        "resources-templates-read": NONE,
        "resources-subscribe": NONE,
        "resources-unsubscribe": NONE,
        "prompts-list": NONE,
        "prompts-get-simple": NONE,
        "prompts-get-with-args": NONE,
        "prompts-get-embedded-resource": NONE,
        "prompts-get-with-image": NONE,
        "dns-rebinding-protection": ALL,
        # What the revision does not require, and we do:
        "json-schema-2020-12": ALL,
        "server-session-lifecycle": NONE,
        "server-sse-polling": ALL,
    },
    "2026-07-28": {
        "server-stateless": NONE,
        "completion-complete": NONE,
        "tools-list": ALL,
        "tools-call-simple-text": ALL,
        "tools-call-image": ALL,
        "tools-call-audio": ALL,
        "tools-call-embedded-resource": ALL,
        "tools-call-mixed-content": ALL,
        "tools-call-error": ALL,
        "tools-call-with-progress": NONE,
        "server-sse-multiple-streams": ALL,
        "resources-list": NONE,
        "resources-read-text": NONE,
        "resources-read-binary": NONE,
        "resources-templates-read": NONE,
        "sep-2164-resource-not-found": NONE,
        "prompts-list": NONE,
        "prompts-get-simple": NONE,
        "prompts-get-with-args": NONE,
        "prompts-get-embedded-resource": NONE,
        "prompts-get-with-image": NONE,
        "dns-rebinding-protection": ALL,
        "caching": NONE,
        "input-required-result-basic-elicitation": NONE,
        "input-required-result-basic-sampling": NONE,
        "input-required-result-basic-list-roots": NONE,
        "input-required-result-request-state": NONE,
        "input-required-result-multiple-input-requests": NONE,
        "input-required-result-multi-round": NONE,
        "input-required-result-missing-input-response": NONE,
        "input-required-result-non-tool-request": NONE,
        "input-required-result-result-type": NONE,
        "input-required-result-unsupported-methods": ALL,
        "input-required-result-tampered-state": NONE,
        "input-required-result-capability-check": NONE,
        "input-required-result-ignore-extra-params": NONE,
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
        "elicitation-sep1034-client-defaults": False,
        "sse-retry": True,
        # What the revision does not require, and we do:
        "json-schema-2020-12-preservation": True,
    },
    "2026-07-28": {
        "tools_call": True,
        "request-metadata": True,
        "sep-2322-client-request-state": False,
        "http-standard-headers": True,
        "http-custom-headers": True,
        "http-invalid-tool-headers": True,
        "json-schema-ref-no-deref": True,
        # What the revision does not require, and we do:
        "json-schema-2020-12-preservation": True,
    },
}
"""Whether the gateway passes a scenario as the client of the suite's server. Those of authorization are not here yet."""
