"""What registries tell of images."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfinger_operator.image_manifest import ImageFormatError, config_of_manifest, entry_point, is_digest_of, manifest_of_index, parse
from wharfinger_operator.world import EntryPoint

ONE, TWO, THREE = (f"sha256:{64 * str(n)}" for n in (1, 2, 3))


def index(*parts: tuple[str, str, str]) -> dict[str, Any]:
    return {"manifests": [{"digest": digest, "platform": {"os": system, "architecture": arch}} for system, arch, digest in parts]}


@pytest.mark.parametrize(
    ("document", "chosen"),
    [
        (index(("linux", "arm64", ONE), ("linux", "amd64", TWO)), TWO),
        (index(("windows", "amd64", ONE), ("linux", "arm64", TWO)), TWO),
        (index(("unknown", "unknown", ONE), ("linux", "s390x", TWO)), TWO),
        (index(("linux", "amd64", ONE), ("linux", "amd64", TWO)), ONE),
        ({"config": {"digest": ONE}}, None),
    ],
)
def test_of_an_index_the_first_wanted_architecture_for_linux_counts(document: dict[str, Any], chosen: str | None) -> None:
    assert manifest_of_index(document, ("amd64", "arm64")) == chosen


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"Entrypoint": ["/a"], "Cmd": ["b"]}, EntryPoint(("/a",), ("b",))),
        ({"Entrypoint": None, "Cmd": ["/bin/sh", "-c", "x"]}, EntryPoint((), ("/bin/sh", "-c", "x"))),
        ({}, EntryPoint()),
        (None, EntryPoint()),
    ],
)
def test_a_configuration_names_entrypoint_and_cmd(config: Any, expected: EntryPoint) -> None:
    assert entry_point({"config": config}) == expected


@pytest.mark.parametrize("config", [{"Cmd": "sh"}, {"Cmd": [7]}, {"Cmd": ["a\0"]}, {"Cmd": ["x"] * 257}, {"Cmd": ["x" * 32769]}, [7]])
def test_a_configuration_that_no_pod_could_run_is_refused(config: Any) -> None:
    with pytest.raises(ImageFormatError):
        entry_point({"config": config})


def test_a_content_is_checked_against_its_digest() -> None:
    empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    assert is_digest_of(empty, b"")
    assert not is_digest_of(empty, b"x")
    assert not is_digest_of("md5:d41d8cd98f00b204e9800998ecf8427e", b"")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["config", "manifests", "platform", "os", "digest", "Cmd"]), inner)
    ),
)


@given(ANYTHING)
def test_no_document_is_a_fault(found: Any) -> None:
    for read in (lambda d: manifest_of_index(d, ("amd64",)), config_of_manifest, entry_point):
        try:
            read(parse(json.dumps(found).encode()))
        except ImageFormatError:
            continue
