"""When a registry is asked for an image's entry point, and what is made of its answer."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from golden import manifests
from manifest_world import NOW, answered, installation_world
from wharfinger_crds import conditions as c
from wharfinger_crds import names
from wharfinger_operator.diff import stamped
from wharfinger_operator.plan.entry_point import is_loopback
from wharfinger_operator.plan.installation import plan_installation
from wharfinger_operator.status import installation_status
from wharfinger_operator.world import EntryPoint, ImageAnswer, InstallationWorld

CASE = Path(__file__).parent / "plan/testdata/installation-image-entry-point.in.yaml"
DIGEST = f"sha256:{64 * '1'}"


def world(annotations: dict[str, str] | None = None, **hosted: Any) -> InstallationWorld:
    documents = copy.deepcopy(manifests(CASE))
    by_kind = {d["kind"]: d for d in documents}
    by_kind["McpRegistryEntry"]["spec"]["selfHosted"].update(hosted)
    by_kind["McpInstallation"]["metadata"]["annotations"] = annotations or {}
    return installation_world(documents)


def running(before: InstallationWorld) -> tuple[dict[str, Any], ...]:
    """What is there after a plan was carried out."""
    return tuple(stamped(o) for o in plan_installation(answered(before)).desired or ())


def program(seen: InstallationWorld) -> list[str]:
    deployment = next(o for o in plan_installation(seen).desired or () if o["kind"] == "Deployment")
    command: list[str] = deployment["spec"]["template"]["spec"]["containers"][0]["command"]
    return command[command.index("--") + 1 :]


@pytest.mark.requirement("REG-4")
def test_arguments_stand_in_the_place_of_the_images_cmd_and_nothing_is_expanded() -> None:
    assert program(answered(world())) == ["/usr/bin/tini", "--", "fetch.js", "--agent=$$(AGENT)"]
    assert program(answered(world(args=[]))) == ["/usr/bin/tini", "--", "node", "server.js", "$$(PATH)"]


@pytest.mark.parametrize("hosted", [{"command": ["x"]}, {"transport": "StreamableHTTP"}], ids=["command", "http"])
def test_a_registry_is_asked_only_where_the_answer_is_needed(hosted: dict[str, Any]) -> None:
    plan = plan_installation(world(**hosted))

    assert plan.question is None
    assert plan.desired


def test_until_the_answer_is_there_nothing_changes_and_that_is_said() -> None:
    plan = plan_installation(world())

    assert plan.question
    assert plan.desired is None
    assert plan.values
    assert (plan.values.status, plan.values.reason) == ("Unknown", c.WAITING)


def test_what_runs_keeps_its_entry_point_and_asks_nothing() -> None:
    seen = replace(world(), owned=running(world()))

    assert plan_installation(seen).question is None
    assert program(seen)[:2] == ["/usr/bin/tini", "--"]


def test_what_moves_to_another_namespace_keeps_its_entry_point_and_asks_nothing() -> None:
    seen = world()
    elsewhere = tuple({**o, "metadata": {**o["metadata"], "namespace": "mcp-before"}} for o in running(seen))

    assert plan_installation(replace(seen, owned=elsewhere)).question is None


@pytest.mark.parametrize(
    ("change", "asks"),
    [
        (world(args=["other"]), True),
        (world({names.RESTARTED_AT: "2026-01-02"}), True),
        (world({"unrelated": "x"}), False),
        (world(image="mcp/fetch:2.0"), True),
    ],
    ids=["arguments", "restart", "unrelated", "image"],
)
def test_a_tag_is_read_anew_when_the_workload_changes_anyway(change: InstallationWorld, asks: bool) -> None:
    assert (plan_installation(replace(change, owned=running(world()))).question is not None) is asks


def test_a_digest_is_never_read_anew() -> None:
    image = f"mcp/fetch@{DIGEST}"

    assert plan_installation(replace(world(image=image, args=["other"]), owned=running(world(image=image)))).question is None


@pytest.mark.parametrize("change", [
    lambda d: d.update(entrypoint=["/evil"]),
    lambda d: d.update(basis="other"),
    lambda d: d.pop("mac"),
    lambda d: d.update(mac="ä"),
    lambda d: d.clear(),
])  # fmt: skip
def test_what_somebody_else_wrote_into_the_annotation_is_not_believed(change: Any) -> None:
    owned = running(world())
    annotations = next(o for o in owned if o["kind"] == "Deployment")["metadata"]["annotations"]
    document = json.loads(annotations[names.IMAGE_CONFIG])
    change(document)
    annotations[names.IMAGE_CONFIG] = json.dumps(document)

    assert plan_installation(replace(world(), owned=owned)).question is not None


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "null", "[" * 100_000])
def test_an_annotation_that_is_no_document_is_no_fault(text: str) -> None:
    owned = running(world())
    next(o for o in owned if o["kind"] == "Deployment")["metadata"]["annotations"][names.IMAGE_CONFIG] = text

    assert plan_installation(replace(world(), owned=owned)).question is not None


def test_what_is_known_is_used_on_where_the_registry_fails() -> None:
    changed = replace(world(args=["other"]), owned=running(world()))

    assert program(answered(changed, message="registry docker.io cannot be reached")) == ["/usr/bin/tini", "--", "other"]


@pytest.mark.requirement("REG-4")
def test_a_registry_that_fails_is_a_condition_that_says_what_to_do_and_stays_over_a_restart() -> None:
    failed = answered(world(), message="registry docker.io wants a login")
    status = installation_status(failed, plan_installation(failed), NOW)
    assert status
    found = status.condition(c.VALUES_RESOLVED)
    assert found
    assert (found.status, found.reason) == ("False", c.IMAGE_UNREADABLE)
    assert "registry docker.io wants a login; declare spec.selfHosted.command" in found.message

    assert failed.installation
    after = replace(failed, image=None, installation=failed.installation.model_copy(update={"status": status}))

    assert installation_status(after, plan_installation(after), "2026-02-02T00:00:00Z") == status


def test_an_image_that_starts_nothing_is_said() -> None:
    question = plan_installation(world(args=[])).question
    assert question
    empty = replace(world(args=[]), image=ImageAnswer(question.fingerprint, EntryPoint()))

    values = plan_installation(empty).values
    assert values
    assert values.reason == c.IMAGE_UNREADABLE
    assert "neither ENTRYPOINT nor CMD" in values.message


def test_the_answer_to_another_question_is_none() -> None:
    assert plan_installation(replace(world(), image=ImageAnswer("other", EntryPoint(("/x",))))).desired is None


@pytest.mark.parametrize(
    ("registry", "loopback"),
    [("localhost", True), ("localhost:5000", True), ("127.0.0.1:5000", True), ("[::1]:5000", True), ("[::1]", True), ("ghcr.io", False),
     ("localhost.evil.dev", False), ("127.0.0.1.evil.dev", False), ("10.0.0.1:5000", False)],
)  # fmt: skip
def test_only_registries_on_this_machine_are_asked_without_https(registry: str, loopback: bool) -> None:
    assert is_loopback(registry) is loopback
    question = plan_installation(world(image=f"{registry}/x")).question
    assert question
    assert question.insecure is loopback
