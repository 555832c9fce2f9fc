"""The index follows every change, and keeps nothing of what is gone."""

from typing import Any

from wharfinger_crds import names
from wharfinger_crds.installation import Installation
from wharfinger_operator.installation_index import InstallationIndex


def installation(name: str = "jira", environment: str | None = None, named: str = "jira", **status: Any) -> Installation:
    source = {"field": "token", "secretKeyRef": {"name": named, "key": "token"}}
    return Installation.parse({
        "metadata": {"name": name, "namespace": "team-a", "uid": name},
        "spec": {"entryRef": {"name": "e"}, "owner": {"team": "engineering"}, "valuesFrom": [source]},
        "status": {**({"environment": environment} if environment else {}), **status},
    })  # fmt: skip


def test_an_installation_is_found_by_all_that_it_names() -> None:
    index = InstallationIndex()
    found = installation(environment="prod", tools={"count": 1, "hash": "sha256:abc"})
    index.take(None, found)

    assert index.of_entry("e") == index.of_environment("prod") == index.of_secret("team-a", "jira") == (found,)
    assert index.of_namespace("team-a") == index.of_id(names.installation_id("team-a", "jira")) == (found,)
    assert index.tools() == {names.tools_name("sha256:abc")}
    assert index.of_tools(names.tools_name("sha256:abc")) == (found,)
    assert index.of_secret("team-b", "jira") == index.of_entry("other") == ()


def test_a_change_moves_it() -> None:
    index = InstallationIndex()
    before, after = installation(environment="prod"), installation(environment="staging", named="other")
    index.take(None, before)
    index.take(before, after)

    assert (index.of_environment("prod"), index.of_environment("staging")) == ((), (after,))
    assert (index.of_secret("team-a", "jira"), index.of_secret("team-a", "other")) == ((), (after,))
    assert index.count_of_entry("e") == 1


def test_nothing_is_kept_of_what_is_gone() -> None:
    index = InstallationIndex()
    for name in ("a", "b"):
        index.take(None, installation(name, environment="prod"))
    index.take(installation("a", environment="prod"), None)
    assert [i.metadata.name for i in index.of_entry("e")] == ["b"]
    index.take(installation("b", environment="prod"), None)

    assert index.of_entry("e") == index.of_namespace("team-a") == ()
    assert index.count_of_entry("e") == 0
