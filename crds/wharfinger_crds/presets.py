"""Presets: named lists of domains that come with the platform, in `presets.yaml`.

Narrow on purpose: a domain at which anybody can store something is a way out for data, whatever else it is good for.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources
from typing import Annotated

import yaml
from pydantic import Field

from wharfinger_crds.base import Label, Model


class Preset(Model):
    """One list."""

    names: tuple[str, ...] = ()
    """Domains, as an environment names them."""
    reversed_names: tuple[str, ...] = ()
    """Domains with their labels in the opposite order, as package names have them."""
    ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = (443,)
    """TCP ports."""

    @property
    def domains(self) -> tuple[str, ...]:
        """All domains of it, sorted."""
        return tuple(sorted({*self.names, *(".".join(reversed(name.split("."))) for name in self.reversed_names)}))


class Presets(Model):
    """All lists, and the version of what stands in them."""

    version: Annotated[int, Field(ge=1)]
    """Raised with every change of a list, so that a status shows when a release means something else by a name."""
    presets: Mapping[Label, Preset]


@functools.cache
def presets() -> Presets:
    """Return the presets of this release."""
    return Presets.model_validate(yaml.safe_load(resources.files(__package__).joinpath("presets.yaml").read_text()))
