"""The behaviours that are built, by stable id. A test that shows one carries `@pytest.mark.requirement("…")`; `test_requirements.py` checks both ways."""

from typing import Final

BUILT: Final = {
    "REG-1": "A registry entry is a template; an installation is the connection made from it for one user or one team.",
    "REG-2": "A remote entry: URL, authentication, install-time fields, extra headers.",
    "REG-3": "A self-hosted entry in the platform's base image: command and arguments.",
    "REG-4": "A self-hosted entry in an image of its own.",
    "REG-5": "Install-time fields in URLs, headers, environment, arguments and files; a secret one never where it can be read.",
    "REG-9": "An edit of an entry rolls its installations a few at a time; a newly required field leaves them running and is named.",
    "INS-1": "An installation belongs to one user or one team for ever; only a namespace that was granted them may hold it.",
    "INS-2": "Secret values come from Secrets only; a missing one is seen, and repaired when it appears.",
    "INS-3": "Tools are discovered, all pages; definitions are kept, names, count and hash are seen.",
    "INS-8": "Deletion removes everything, across namespaces, also when the operator was away.",
    "ORC-1": "One Deployment a server.",
    "ORC-2": "stdio servers are safe with concurrent callers, in any image.",
    "ORC-3": "Streamable HTTP servers: Service, port and path.",
    "ORC-8": "Servers are hardened by default.",
    "ORC-9": "A deleted or edited child comes back in seconds; a restart writes nothing.",
    "ENV-4": "The NetworkPolicy is always there as the closed base.",
    "ENV-7": "Only the gateway and the operator reach a server.",
    "GW-1": "Several gateways with their own tools and visibility; Ready only when somebody can use a tool.",
    "GW-2": "Tools are assigned explicitly, pinned or resolved at call time, under stable names of at most 64 characters.",
    "GW-3": "Who cannot see a gateway cannot use it, by any path.",
    "GW-6": "The credential is found at call time, by a written order; else an error with an install link.",
    "GW-7": "The client's token never goes upstream.",
    "AUT-4": "Static bearer tokens for a user, a team, the organization: hashed, expiring, revoked by deletion.",
    "OPS-1": "Everything is a manifest; status follows kstatus, and a user's object is never written but for its status.",
    "OPS-7": "One operator leads and another takes over; gateway replicas hold no state.",
    "OPS-9": "An upgrade leaves running servers alone; neighbouring versions read each other; a restore loses nothing.",
}
