"""Versions, flags and settings that builds are given."""

import configparser

import pytest

from local_cluster.binaries import HELM, KUBE, POLICY_CASES, linker_flags, version_of
from local_cluster.buildah import pip_conf
from local_cluster.layout import GO_SOURCES
from local_cluster.packages import missing
from local_cluster.toolchain import as_numbers, wanted


@pytest.mark.parametrize(
    ("version", "numbers"), [("go1.26.8", (1, 26, 8)), ("1.26", (1, 26)), ("go1.27rc1", (1, 27)), ("devel", ()), ("", ())]
)
def test_go_versions_compare_by_number(version: str, numbers: tuple[int, ...]) -> None:
    assert as_numbers(version) == numbers


def test_the_newest_go_that_any_module_asks_for_is_wanted() -> None:
    assert wanted(["module a\n\ngo 1.26.0\n", "module b\ngo 1.9\n", "module c\n"]) == "1.26.0"


def test_kubernetes_is_told_its_version() -> None:
    flags = linker_flags(KUBE, "require (\n\tk8s.io/component-base v0.36.3\n\tk8s.io/kubernetes v1.36.3\n)\n")

    assert "-X k8s.io/component-base/version.gitVersion=v1.36.3" in flags
    assert "-X k8s.io/component-base/version.gitMinor=36" in flags


def test_the_official_cases_are_those_of_the_kubernetes_that_is_built() -> None:
    modules = [(GO_SOURCES / program.name / "go.mod").read_text() for program in (KUBE, POLICY_CASES)]

    assert len({version_of("k8s.io/kubernetes", text) for text in modules}) == 1


def test_helm_is_told_its_version() -> None:
    assert linker_flags(HELM, "\thelm.sh/helm/v4 v4.3.1 // indirect\n").endswith("version.version=v4.3.1")


def test_a_build_sees_this_machine_s_index_and_the_mounted_cache_and_ca_only() -> None:
    parser = configparser.RawConfigParser()
    parser.read_string(
        pip_conf({"index-url": "https://u:p%40ss@index.test/simple", "find-links": "/home/me", "cert": "/home/me/ca"}, has_ca=True)
    )

    assert dict(parser["global"]) == {
        "index-url": "https://u:p%40ss@index.test/simple",
        "cache-dir": "/run/wharfinger-build/pip",
        "cert": "/run/wharfinger-build/ca.crt",
        "disable-pip-version-check": "true",
        "root-user-action": "ignore",
    }


def test_a_package_is_missing_when_its_program_is() -> None:
    have = {"nft": "/usr/sbin/nft"}

    assert missing({"nftables": "nft", "runc": "runc"}, have.get) == ("runc",)
