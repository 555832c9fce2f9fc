"""Defaults for the pods of servers: in the platform settings for all, in an environment for its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, StringConstraints

from wharfinger_crds.base import FreeForm, Labels, Model
from wharfinger_crds.quantity import amount


class PodDefaults(Model):
    """Defaults for the pods of servers."""

    node_selector: Labels | None = None
    tolerations: Annotated[tuple[FreeForm, ...], Field(max_length=16)] = ()
    affinity: FreeForm | None = None
    priority_class_name: Annotated[str, StringConstraints(max_length=253)] | None = None
    runtime_class_name: Annotated[str, StringConstraints(max_length=253)] | None = None
    resources: FreeForm | None = None
    """`requests` and `limits` of the server's container; null takes one out."""


def resources_problem(defaults: PodDefaults) -> str | None:
    """Return what is wrong with the resources, which have no schema of their own, as `resources.…: why`; or None."""
    for kind, quantities in (defaults.resources or {}).items():
        if kind not in {"requests", "limits"}:
            return f"resources.{kind}: only requests and limits are known"
        if not isinstance(quantities, Mapping):
            return f"resources.{kind}: is no map"
        for name, value in quantities.items():
            if value is not None and amount(value) is None:
                return f"resources.{kind}.{name}: is no quantity such as 500m or 512Mi"
    return None
