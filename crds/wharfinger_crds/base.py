"""What every kind is made of: the frozen base model, references, metadata, and the marks that become CRD schema.

Invariants: models are frozen and hashable where their fields are; unknown fields are ignored, so that an older program
can read objects of a newer CRD (the API server prunes and refuses what users mistype). Every string, list and map has a
maximum, or the API server refuses CEL rules over it (cost budget, Kubernetes CEL documentation, "resource constraints").
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel


def validations(*rules: tuple[str, str] | tuple[str, str, str]) -> dict[str, Any]:
    """Return the schema extension for CEL rules (`x-kubernetes-validations`), given as (expression, message).

    A third part is an expression for the message, so that it can name the value; the message is then for values that it cannot be made of.
    """
    names = ("rule", "message", "messageExpression")
    return {"x-kubernetes-validations": [dict(zip(names, rule, strict=False)) for rule in rules]}


def map_list(key: str, maximum: int, *rules: tuple[str, str]) -> Any:
    """Return the field marks of a list whose items are identified by `key` (`x-kubernetes-list-type: map`)."""
    extra: dict[str, Any] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}
    return Field(default=(), max_length=maximum, json_schema_extra=extra | (validations(*rules) if rules else {}))


def set_list(maximum: int) -> Any:
    """Return the field marks of a list without order or repetition (`x-kubernetes-list-type: set`)."""
    return Field(default=(), max_length=maximum, json_schema_extra={"x-kubernetes-list-type": "set"})


IMMUTABLE = validations(("self == oldSelf", "is immutable: delete the object and create it anew"))
FREE_FORM = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}

Text = Annotated[str, StringConstraints(max_length=1024)]
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=253)]
Label = Annotated[str, StringConstraints(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
"""A DNS label (RFC 1123): names of our objects, namespaces, teams."""
Subdomain = Annotated[str, StringConstraints(max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
"""A DNS subdomain (RFC 1123): names of Secrets, ConfigMaps and other objects that are not ours."""
DataKey = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
FieldName = Annotated[str, StringConstraints(max_length=63, pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
HeaderName = Annotated[str, StringConstraints(max_length=128, pattern=r"^[-!#$%&'*+.^_`|~0-9A-Za-z]+$")]
"""A field name of HTTP (RFC 9110 §5.1)."""
UserName = Annotated[str, StringConstraints(max_length=317, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?:[^\s,]{1,253}$")]
"""`<identity provider>:<username claim>`."""
Duration = Annotated[str, StringConstraints(max_length=20, pattern=r"^([0-9]{1,6}(ms|s|m|h))+$")]
Quantity = Annotated[str, StringConstraints(max_length=20, pattern=r"^[0-9]{1,12}(Ki|Mi|Gi|k|M|G)?$")]
LabelValue = Annotated[str, StringConstraints(max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")]
Labels = Annotated[dict[str, LabelValue], Field(max_length=16)]
UsedBy = Annotated[
    tuple[Annotated[str, StringConstraints(max_length=127)], ...],
    Field(
        max_length=10,
        description="The first ten installations that use it, `namespace/name`, sorted. While there are any, deletion is refused.",
    ),
]
FreeForm = Annotated[Mapping[str, Any], Field(json_schema_extra=FREE_FORM)]


_NOT_ASKED_FOR: Final[set[str]] = set()
"""Which fields were given and which have their defaults: nobody asks."""


def misfits(error: ValidationError) -> str:
    """Return the paths of the fields that do not fit, sorted; never their values."""
    return ", ".join(sorted({".".join(str(part) for part in e["loc"]) for e in error.errors(include_input=False, include_url=False)}))


class Model(BaseModel):
    """A frozen value that reads and writes Kubernetes' camelCase names; the string under a field is its `kubectl explain` text."""

    # Most models are parts of others, whose validators contain them: each makes its own only when it is asked to validate.
    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True, use_attribute_docstrings=True, defer_build=True
    )

    def model_post_init(self, _: object) -> None:
        """Take less memory: a set of names for each value, and strings that most values have in common, were half of what objects took."""
        object.__setattr__(self, "__pydantic_fields_set__", _NOT_ASKED_FOR)
        fields = self.__dict__
        for name, value in fields.items():
            if type(value) is str:
                fields[name] = sys.intern(value)

    def manifest(self) -> dict[str, Any]:
        """Return the value as it stands in a manifest: camelCase, without what was not set."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)


class Ref(Model):
    """A reference by name; the namespace, if the kind has one, is that of the referring object."""

    name: Label
    """Name of the object."""


class KeyRef(Model):
    """One key of a Secret or ConfigMap."""

    name: Subdomain
    """Name of the Secret or ConfigMap. It must carry the label `wharfinger.dev/usable: "true"`."""
    key: DataKey
    """The key in its data."""


class Metadata(Model):
    """The parts of ObjectMeta that decisions look at."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    labels: Mapping[str, str] = Field(default_factory=dict)
    annotations: Mapping[str, str] = Field(default_factory=dict)


class Condition(Model):
    """A condition as in metav1.Condition (Kubernetes API conventions, "typical status properties")."""

    type: Annotated[str, StringConstraints(max_length=316)]
    status: Annotated[str, Field(json_schema_extra={"enum": ["True", "False", "Unknown"]})]
    reason: Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")]
    message: Annotated[str, StringConstraints(max_length=32768)] = Field(default="", json_schema_extra={"x-required": True})
    last_transition_time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    observed_generation: int | None = Field(default=None, ge=0)


class Status(Model):
    """What every status has; the CRD defaults observedGeneration to -1, so that an object nobody has seen yet is not taken for settled."""

    observed_generation: int = Field(default=-1, json_schema_extra={"x-visible-default": True})
    """The generation of the spec that this status is about."""
    conditions: tuple[Condition, ...] = map_list("type", 16)
    """Conditions; `Ready` is the summary."""

    def condition(self, kind: str) -> Condition | None:
        """Return the condition of that type, if it is there."""
        return next((c for c in self.conditions if c.type == kind), None)


class Object(Model):
    """The envelope of an object of one of our kinds; the kinds add `spec` and `status`."""

    metadata: Metadata

    @classmethod
    def parse(cls, manifest: Mapping[str, Any]) -> Self:
        """Return the object of a manifest read from the API server.

        Raises pydantic.ValidationError where the manifest could not have passed the CRD's schema.
        """
        return cls.model_validate(manifest)
