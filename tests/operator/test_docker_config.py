"""Documents with logins to registries: written, read, and matched with images."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfinger_operator.plan.docker_config import docker_config, logins_for, read_docker_config
from wharfinger_operator.plan.image_reference import parse_reference


def document(*keys: str, **entry: Any) -> bytes:
    return json.dumps({"auths": {key: entry or {"username": key, "password": "planted"} for key in keys}}).encode()


@pytest.mark.requirement("ORC-4")
@pytest.mark.parametrize(
    ("key", "image", "is_for"),
    [
        ("ghcr.io", "ghcr.io/acme/x", True),
        ("https://ghcr.io", "ghcr.io/acme/x", True),
        ("https://ghcr.io/v2/", "ghcr.io/acme/x", True),
        ("GHCR.io", "ghcr.io/acme/x", True),
        ("ghcr.io/acme", "ghcr.io/acme/x", True),
        ("ghcr.io/acme/x", "ghcr.io/acme/x", True),
        ("ghcr.io/acme", "ghcr.io/acme-evil/x", False),
        ("ghcr.io", "ghcr.io.evil.dev/x", False),
        ("ghcr.io", "evil.dev/ghcr.io/x", False),
        ("*.acme.dev", "registry.acme.dev/x", True),
        ("*.acme.dev", "a.registry.acme.dev/x", False),
        ("*.acme.dev", "acme.dev/x", False),
        ("host:5000", "host:5000/x", True),
        ("host", "host:5000/x", False),
        ("https://index.docker.io/v1/", "nginx", True),
        ("https://index.docker.io/v1/", "acme/x", True),
        ("docker.io", "acme/x", True),
        ("docker.io", "quay.io/acme/x", False),
    ],
)
def test_a_login_is_for_its_registry_and_below_its_path(key: str, image: str, is_for: bool) -> None:
    logins, reference = read_docker_config(document(key)), parse_reference(image)
    assert logins
    assert reference

    assert bool(logins_for(reference, logins)) is is_for


def test_the_most_specific_login_comes_first_and_none_twice() -> None:
    reference = parse_reference("ghcr.io/acme/x")
    logins = read_docker_config(document("ghcr.io", "ghcr.io/acme", "quay.io"))
    assert reference
    assert logins

    assert [login.username for login in logins_for(reference, (*logins, *logins))] == ["ghcr.io/acme", "ghcr.io"]


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"auths": []}', b'{"auths": null}', b'{"ghcr.io": {"auth": "YTpi"}}', b'{"auths": {"a": 7}}',
        b'{"auths": {"a": {"auth": "not base64!"}}}', b'{"auths": {"a": {"auth": "//79"}}}', b'{"auths": {"a": {"username": 7, "password": "x"}}}',
        b'{"auths": {"a": {"auth": 7}}}', b'{"auths": {"a": null}}',
    ],
)  # fmt: skip
def test_what_is_no_document_is_none(content: bytes) -> None:
    assert read_docker_config(content) is None


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner)
    )
)
def test_no_document_is_a_fault(found: Any) -> None:
    read_docker_config(json.dumps({"auths": found}).encode())
    read_docker_config(json.dumps({"auths": {"a": found}}).encode())
    read_docker_config(json.dumps({"auths": {"a": {"auth": found, "username": found, "password": found}}}).encode())


@pytest.mark.requirement("ORC-4")
def test_what_is_written_is_what_kubectl_writes_and_can_be_read() -> None:
    written = docker_config([("docker.io", "robot", "a:b"), ("registry.acme.dev:5000", "robot", "c")])

    auths = json.loads(written)["auths"]
    assert list(auths) == ["https://index.docker.io/v1/", "registry.acme.dev:5000"]
    assert base64.b64decode(auths["https://index.docker.io/v1/"]["auth"]) == b"robot:a:b"
    assert [(login.host, login.password) for login in read_docker_config(written) or ()] == [
        ("docker.io", "a:b"),
        ("registry.acme.dev:5000", "c"),
    ]


def test_a_login_shows_nothing_of_itself() -> None:
    assert "planted" not in repr(read_docker_config(document("ghcr.io")))
