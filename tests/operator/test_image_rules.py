"""Names of images, and which of them an environment allows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfinger_crds import conditions as c
from wharfinger_crds.environment import Environment
from wharfinger_operator.plan.image_reference import ImageReference, parse_reference
from wharfinger_operator.plan.image_rules import base_image_problem, image_problem, is_allowed_image, pattern_problem

ONE, OTHER = f"sha256:{64 * '1'}", f"sha256:{64 * '2'}"


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        ("nginx", ImageReference("docker.io", "library/nginx")),
        ("acme/x:1", ImageReference("docker.io", "acme/x", "1")),
        ("index.docker.io/nginx", ImageReference("docker.io", "library/nginx")),
        ("docker.io/acme/x", ImageReference("docker.io", "acme/x")),
        ("localhost/x", ImageReference("localhost", "x")),
        ("host:5000/x:1", ImageReference("host:5000", "x", "1")),
        ("[::1]:5000/x", ImageReference("[::1]:5000", "x")),
        ("GHCR.io/acme/x", ImageReference("ghcr.io", "acme/x")),
        (f"ghcr.io/acme/x:1@{ONE}", ImageReference("ghcr.io", "acme/x", "1", ONE)),
        ("ghcr.io/acme/a_b__c.d--e", ImageReference("ghcr.io", "acme/a_b__c.d--e")),
    ],
)
def test_a_name_stands_for_host_repository_tag_and_digest(image: str, reference: ImageReference) -> None:
    assert parse_reference(image) == reference


@pytest.mark.parametrize(
    "image",
    [
        "", "/", "x/", "/x", "ghcr.io/", "ghcr.io//x", "ghcr.io/Acme/x", "ghcr.io/a/../b", "ghcr.io/./x", "ghcr.io/a/%2e%2e/b", "ghcr.io/x:", "ghcr.io/x:a/b",
        "ghcr.io/x@", "ghcr.io/x@sha256:1", f"ghcr.io/x@md5:{32 * '1'}", f"ghcr.io/x@{ONE.upper()}", "ghcr.io/x y", "ghcr.io/x\n", "https://ghcr.io/x",
        "user@ghcr.io/x", "ghcr.io:port/x", "-ghcr.io/x", "ghcr.io/x-", "ghcr.io/xä", "gh\N{CYRILLIC SMALL LETTER ES}r.io/x", "ghcr.io/x?y", "ghcr.io/x#y",
    ],
)  # fmt: skip
def test_what_no_runtime_would_pull_is_no_name(image: str) -> None:
    assert parse_reference(image) is None


@pytest.mark.requirement("ENV-1")
@pytest.mark.parametrize(
    ("image", "pattern", "allowed"),
    [
        ("ghcr.io/acme/x:1", "ghcr.io/acme/*", True),
        ("ghcr.io/acme/team/x:1", "ghcr.io/acme/*", True),
        ("GHCR.IO/acme/x", "ghcr.io/acme/*", True),
        ("ghcr.io/acme", "ghcr.io/acme/*", False),
        ("ghcr.io/acme-evil/x:1", "ghcr.io/acme/*", False),
        ("ghcr.io/acme.evil/x:1", "ghcr.io/acme/*", False),
        ("ghcr.io.evil.dev/acme/x", "ghcr.io/*", False),
        ("ghcr.io:8443/acme/x", "ghcr.io/acme/*", False),
        ("ghcr.io/acme/../evil/x", "ghcr.io/acme/*", False),
        ("ghcr.io/acme//../evil/x", "ghcr.io/*", False),
        ("ghcr.io/ACME/x", "ghcr.io/acme/*", False),
        ("docker.io/ghcr.io/acme/x", "ghcr.io/acme/*", False),
        ("evil.dev/ghcr.io/acme/x", "ghcr.io/acme/*", False),
        ("host:5000/x", "host:5000/*", True),
        ("host:5001/x", "host:5000/*", False),
        ("host/x", "host:5000/*", False),
        ("nginx", "docker.io/*", True),
        ("nginx", "docker.io/library/*", True),
        ("nginx", "library/*", True),
        ("acme/x", "docker.io/library/*", False),
        ("acme/x", "docker.io/acme/*", True),
        ("acme/x", "acme/*", True),
        ("index.docker.io/acme/x", "docker.io/acme/*", True),
        ("acme/x", "ghcr.io/acme/*", False),
        ("ghcr.io/acme/x:1", "ghcr.io/acme/x", True),
        (f"ghcr.io/acme/x@{ONE}", "ghcr.io/acme/x", True),
        (f"ghcr.io/acme/x:1@{ONE}", "ghcr.io/acme/x", True),
        ("ghcr.io/acme/xy:1", "ghcr.io/acme/x", False),
        ("ghcr.io/acme/x/y", "ghcr.io/acme/x", False),
        ("docker.io/library/nginx", "nginx", True),
        ("ghcr.io/acme/x:1", "ghcr.io/acme/x:1", True),
        ("ghcr.io/acme/x:2", "ghcr.io/acme/x:1", False),
        ("ghcr.io/acme/x", "ghcr.io/acme/x:latest", True),
        (f"ghcr.io/acme/x:1@{ONE}", "ghcr.io/acme/x:1", False),
        (f"ghcr.io/acme/x@{ONE}", f"ghcr.io/acme/x@{ONE}", True),
        (f"ghcr.io/acme/x:9@{ONE}", f"ghcr.io/acme/x:1@{ONE}", True),
        (f"ghcr.io/acme/x@{OTHER}", f"ghcr.io/acme/x@{ONE}", False),
        ("ghcr.io/acme/x:1", f"ghcr.io/acme/x@{ONE}", False),
        ("host:5000/x", "host:5000/x", True),
        ("ghcr.io/x", "*", False),
        ("ghcr.io/x", "/*", False),
        ("ghcr.io/acme/x", "ghcr.io/ac*", False),
        ("ghcr.io/acme/x", "ghcr.io/*/x", False),
    ],
)
def test_allowed_images_end_at_a_boundary_of_the_path(image: str, pattern: str, allowed: bool) -> None:
    assert is_allowed_image(image, pattern) is allowed


@given(st.text(alphabet="aZ0./:@-_*[] \nä", max_size=40), st.text(alphabet="aZ0./:@-_*", max_size=20))
def test_whatever_is_allowed_lies_where_the_pattern_says(image: str, pattern: str) -> None:
    if is_allowed_image(image, pattern) and pattern.endswith("/*"):
        found = parse_reference(image)
        assert found
        assert f"{found.host}/{found.repository}".removeprefix("docker.io/library/").removeprefix("docker.io/").startswith(
            pattern[:-1].lower().removeprefix("docker.io/library/").removeprefix("docker.io/")
        ) or f"{found.host}/{found.repository}".startswith(f"docker.io/{pattern[:-1]}")


def environment(**spec: object) -> Environment:
    return Environment.parse({"metadata": {"name": "prod"}, "spec": {"title": "X", "egress": {"mode": "DenyAll"}, **spec}})


@pytest.mark.requirement("ENV-1")
def test_without_a_list_every_image_is_allowed_and_with_one_only_what_it_names() -> None:
    listed = environment(allowedImages=["quay.io/acme/*", "ghcr.io/acme/*"])
    problem = image_problem(listed, "evil.dev/x")

    assert image_problem(environment(), "evil.dev/x") is None
    assert image_problem(listed, "quay.io/acme/x") is None
    assert problem
    assert problem.reason == c.IMAGE_NOT_ALLOWED
    assert "it allows: ghcr.io/acme/*, quay.io/acme/*" in problem.message


@pytest.mark.requirement("ENV-1")
def test_the_base_image_has_a_rule_of_its_own() -> None:
    assert base_image_problem(environment(allowedImages=["ghcr.io/acme/*"])) is None
    assert base_image_problem(environment(allowBaseImage=False)) is not None


@pytest.mark.parametrize("pattern", ["*", "/*", "ghcr.io/Acme/*", "ghcr.io/*/x", "https://ghcr.io/*", "ghcr.io/acme/", "**"])
def test_a_pattern_that_allows_nothing_is_said(pattern: str) -> None:
    problem = pattern_problem(environment(allowedImages=["ghcr.io/acme/*", pattern]).spec)

    assert problem
    assert problem.reason == c.INVALID
    assert f"spec.allowedImages: {pattern} is neither" in problem.message
