"""Which images an environment allows."""

from __future__ import annotations

from wharfinger_crds import conditions as c
from wharfinger_crds.environment import Environment, EnvironmentSpec
from wharfinger_operator.plan.image_reference import parse_prefix, parse_reference


def is_allowed_image(image: str, pattern: str) -> bool:
    """Tell whether an image lies below `host/path/*`, or is the one that is named: any version, that tag, or that digest.

    What is no name of an image is not allowed, and what is no pattern allows nothing.
    """
    found = parse_reference(image)
    if found is None:
        return False
    if pattern.endswith("/*"):
        prefix = parse_prefix(pattern.removesuffix("/*"))
        return prefix is not None and found.host == prefix[0] and found.repository.startswith(f"{prefix[1]}/" if prefix[1] else "")
    named = parse_reference(pattern)
    if named is None or (found.host, found.repository) != (named.host, named.repository):
        return False
    if named.digest:
        return found.digest == named.digest
    # An image that names both is pulled by its digest: its tag says nothing.
    return named.tag is None or (found.digest is None and found.version == named.tag)


def image_problem(environment: Environment, image: str) -> c.Finding | None:
    """Return why an environment does not allow an image (Accepted=False), or None. For every image that a user may name."""
    allowed = environment.spec.allowed_images
    if not allowed or any(is_allowed_image(image, pattern) for pattern in allowed):
        return None
    return c.false(
        c.ACCEPTED,
        c.IMAGE_NOT_ALLOWED,
        f"Environment {environment.metadata.name} does not allow image {image}; it allows: {', '.join(sorted(allowed))}",
    )


def base_image_problem(environment: Environment) -> c.Finding | None:
    """Return why an environment does not allow the platform's base image (Accepted=False), or None; `allowedImages` is not asked."""
    if environment.spec.allow_base_image:
        return None
    name = environment.metadata.name
    return c.false(c.ACCEPTED, c.IMAGE_NOT_ALLOWED, f"Environment {name} does not allow the base image (allowBaseImage: false)")


def pattern_problem(spec: EnvironmentSpec) -> c.Finding | None:
    """Return which pattern allows nothing because it is none (Accepted=False), or None."""
    for pattern in spec.allowed_images:
        parsed = parse_prefix(pattern.removesuffix("/*")) if pattern.endswith("/*") else parse_reference(pattern)
        if parsed is None:
            return c.false(
                c.ACCEPTED,
                c.INVALID,
                f"spec.allowedImages: {pattern} is neither a prefix such as ghcr.io/acme/* nor the name of an image;"
                " without allowedImages every image is allowed",
            )
    return None
