"""What was written, as the API server itself counts it: whoever sent it, and by whichever part of a program."""

from collections import Counter
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from wharfinger_cluster.kubeconfig import from_kubeconfig

_VERBS: Final = {"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"}
_ELSEWHERE: Final = {"leases", "events", "tokenreviews", "subjectaccessreviews", "selfsubjectaccessreviews"}
"""Resources of which writes say nothing: those that keep a lead, and questions that are posted."""


async def written(kubeconfig: str) -> Counter[str]:
    """Return how many requests that write the API server has answered since it began, by verb and resource. As an administrator."""
    login = await from_kubeconfig(kubeconfig)
    async with login.session() as session, session.get(f"{login.server}/metrics") as answer:
        page = await answer.text()
    found: Counter[str] = Counter()
    for family in text_string_to_metric_families(page):
        for _, labels, value, *_ in family.samples if family.name == "apiserver_request" else ():
            if labels["verb"] in _VERBS and labels["resource"] not in _ELSEWHERE and labels["subresource"] != "token":
                found["/".join(part for part in (f"{labels['verb']} {labels['resource']}", labels["subresource"]) if part)] += int(value)
    return found
