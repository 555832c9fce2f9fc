"""Installations come, survive and go, in a cluster that runs pods."""

import pytest

from platform_cluster import SYSTEM, TENANT, PlatformCluster, entry, installation
from wharfinger_crds import names

BRIDGED = {"localhost/distroless-server:test": "/stdio-server", "localhost/musl-server:test": "/usr/bin/stdio-server"}


@pytest.mark.requirement("ORC-2", "REG-4")
@pytest.mark.parametrize(("image", "program"), BRIDGED.items())
def test_a_stdio_server_runs_in_an_image_without_glibc_and_python(image: str, program: str, platform: PlatformCluster) -> None:
    name = image.split("/")[1].split(":", maxsplit=1)[0]
    platform.apply(entry(name, image=image, command=[program], transport="Stdio"), installation(name, name))
    try:
        found = platform.ready("mcpinstallation", name)

        assert found["status"]["tools"]["names"] == ["echo"]
        assert found["status"]["phase"] == "Running"
    finally:
        platform.remove(name)


@pytest.mark.requirement("INS-8")
def test_deleting_an_installation_removes_every_object_that_it_caused(platform: PlatformCluster) -> None:
    # The time server's definitions name its time zone: with that of installation `time`, both share one ConfigMap.
    platform.apply(installation("passing", "time", timezone="Europe/Berlin"))
    found = platform.ready("mcpinstallation", "passing")
    definitions = names.tools_name(found["status"]["tools"]["hash"])
    assert len(platform.caused("passing")) >= 8

    platform.run("delete", "mcpinstallation", "passing", "-n", TENANT)

    platform.until(lambda: platform.caused("passing") == [], explain=lambda: "\n".join(platform.caused("passing")))
    # The definitions are those of installation `time` too, so they stay.
    assert platform.get("configmap", definitions, "-n", SYSTEM)


def test_tool_definitions_that_nobody_names_any_more_go(platform: PlatformCluster) -> None:
    platform.apply(
        entry("alone", image="localhost/distroless-server:test", command=["/stdio-server"], transport="Stdio"),
        installation("alone", "alone"),
    )
    definitions = names.tools_name(platform.ready("mcpinstallation", "alone")["status"]["tools"]["hash"])
    assert platform.get("configmap", definitions, "-n", SYSTEM)

    platform.remove("alone")

    platform.until(lambda: not platform.get("configmap", definitions, "-n", SYSTEM))


@pytest.mark.requirement("OPS-7")
def test_an_operator_killed_in_the_middle_of_an_apply_changes_nothing_about_the_end(platform: PlatformCluster) -> None:
    pods = platform.get("pods", "-n", SYSTEM, "-l", "app.kubernetes.io/component=operator")["items"]
    platform.apply(installation("survivor-a", "time"), installation("survivor-b", "time"))

    for pod in pods:
        platform.run("delete", "pod", pod["metadata"]["name"], "-n", SYSTEM, "--grace-period=0", "--force")
    platform.apply(installation("survivor-c", "time"))

    shapes = []
    for name in ("survivor-a", "survivor-b", "survivor-c"):
        found = platform.ready("mcpinstallation", name, seconds=120)
        assert found["status"]["tools"]["count"] == 2
        shapes.append([line.split("/")[0] for line in platform.caused(name)])
    assert shapes[0] == shapes[1] == shapes[2]
    for name in ("survivor-a", "survivor-b", "survivor-c"):
        platform.run("delete", "mcpinstallation", name, "-n", TENANT)


def test_a_server_that_crashes_is_not_ready_and_recovers_with_the_next_edit(platform: PlatformCluster) -> None:
    platform.apply(
        entry("crashing", command=["python", "-c", "raise SystemExit(3)"], transport="Stdio"), installation("crashing", "crashing")
    )
    platform.until(
        lambda: "ended with exit status 3" in platform.logs("crashing") or "code 3" in platform.logs("crashing"),
        explain=lambda: platform.logs("crashing"),
    )
    conditions = platform.get("mcpinstallation", "crashing", "-n", TENANT)["status"]["conditions"]
    assert {c["type"]: c["status"] for c in conditions}["WorkloadAvailable"] == "False"

    platform.apply(entry("crashing", command=["mcp-server-time"], transport="Stdio"))

    platform.ready("mcpinstallation", "crashing", seconds=90)
    platform.remove("crashing")


@pytest.mark.requirement("INS-7")
def test_suspending_scales_to_nothing_and_resuming_brings_it_back(platform: PlatformCluster) -> None:
    platform.apply(installation("sleepy", "time"))
    platform.ready("mcpinstallation", "sleepy")

    platform.run("patch", "mcpinstallation", "sleepy", "-n", TENANT, "--type=merge", "-p", '{"spec":{"suspend":true}}')
    platform.until(lambda: platform.get("mcpinstallation", "sleepy", "-n", TENANT)["status"]["phase"] == "Suspended")
    platform.until(lambda: not [line for line in platform.caused("sleepy") if line.startswith("Pod/")])
    platform.run("patch", "mcpinstallation", "sleepy", "-n", TENANT, "--type=merge", "-p", '{"spec":{"suspend":false}}')

    platform.ready("mcpinstallation", "sleepy")
    platform.run("delete", "mcpinstallation", "sleepy", "-n", TENANT)


@pytest.mark.requirement("REG-10")
def test_what_the_operator_counts_as_used_cannot_be_deleted_until_it_is_used_no_more(platform: PlatformCluster) -> None:
    platform.apply(entry("used", command=["mcp-server-time"], transport="Stdio"), installation("used", "used"))
    try:
        platform.until(lambda: platform.get("mcpregistryentry", "used").get("status", {}).get("usedBy"))
        for kind, name in (("mcpregistryentry", "used"), ("environment", "quickstart")):
            with pytest.raises(AssertionError, match=r"it is used by [0-9]+ installations? \(.*quickstart/used.*\): delete them first"):
                # Lest the demo lose its environment where nothing refuses.
                platform.run("delete", kind, name, "--dry-run=server")
        with pytest.raises(AssertionError, match="delete them first"):
            platform.run("delete", "mcpregistryentry", "used")
        assert platform.get("mcpregistryentry", "used")
    finally:
        # The entry goes once nobody uses it.
        platform.remove("used")
    assert not platform.get("mcpregistryentry", "used")
