"""Fields of an entry: their values in one installation, and `${fields.NAME}` in templates.

Invariants: a secret value is rendered only where the caller says that secrets may stand; the places where they may not
are refused on the entry, before any installation. Patterns of users run in pydantic's engine, which is linear in time.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final
from urllib.parse import quote

from pydantic import StringConstraints, TypeAdapter, ValidationError
from pydantic_core import SchemaError

from wharfinger_crds import conditions as c
from wharfinger_crds.installation import InstallationSpec
from wharfinger_crds.registry_entry import InstallField

_PLACEHOLDER: Final = re.compile(r"\$\{fields\.([a-zA-Z_][a-zA-Z0-9_]{0,62})\}")
_VALUE_LIMIT: Final = 65536


@dataclass(frozen=True)
class FieldValues:
    """The values of one installation."""

    values: Mapping[str, str] = field(repr=False)
    secret: frozenset[str]
    """Names of the fields whose value may be read in Secrets only: secret ones, and whatever was given from a Secret."""


def placeholders(template: str) -> tuple[str, ...]:
    """Return the names of the fields that a template names, in order."""
    return tuple(_PLACEHOLDER.findall(template))


def render(template: str, fields: FieldValues, escape: Callable[[str], str] = str) -> str:
    """Return the template with the values of its fields, each passed through `escape`; a field without a value is empty."""
    return _PLACEHOLDER.sub(lambda match: escape(fields.values.get(match[1], "")), template)


def in_url(value: str) -> str:
    """Return a value as it stands in a URL's path or query (RFC 3986 §2.1): it can add no segment and no parameter."""
    return quote(value, safe="")


def in_container(value: str) -> str:
    """Return text as it stands in a container's command, args or env: the kubelet would expand `$(NAME)`."""
    return value.replace("$(", "$$(")


@functools.lru_cache(maxsize=1024)
def _pattern(pattern: str) -> TypeAdapter[str] | None:
    try:
        return TypeAdapter(Annotated[str, StringConstraints(pattern=pattern)])
    except SchemaError:
        return None


def is_pattern(pattern: str) -> bool:
    """Tell whether a pattern is a regular expression of the linear-time engine."""
    return _pattern(pattern) is not None


def _matches(pattern: str, value: str) -> bool:
    adapter = _pattern(pattern)
    try:
        return adapter is not None and adapter.validate_python(value) is not None
    except ValidationError:
        return False


def resolve_fields(
    fields: tuple[InstallField, ...], spec: InstallationSpec, secrets: Mapping[str, Mapping[str, bytes]]
) -> FieldValues | c.Finding:
    """Return the value of every field that has one, or the finding (ValuesResolved=False) that says what is missing or wrong."""
    declared = {f.name: f for f in fields}
    sources = {source.field: source.secret_key_ref for source in spec.values_from}
    unknown = sorted((set(spec.values) | set(sources)) - set(declared))
    if unknown:
        have = ", ".join(sorted(declared)) or "none"
        return _false(c.UNKNOWN_FIELD, f"the entry has no field {', '.join(unknown)}; its fields: {have}")
    values: dict[str, str] = {}
    for name, declaration in sorted(declared.items()):
        if name in sources:
            ref = sources[name]
            data = secrets.get(ref.name)
            if data is None or ref.key not in data:
                what = (
                    f'Secret {ref.name} with the label wharfinger.dev/usable: "true"'
                    if data is None
                    else f"key {ref.key} in Secret {ref.name}"
                )
                return _false(c.SECRET_MISSING, f"field {name}: there is no {what} in this namespace")
            try:
                values[name] = data[ref.key].decode()
            except UnicodeDecodeError:
                return _false(c.FIELD_INVALID, f"field {name}: key {ref.key} of Secret {ref.name} is not UTF-8 text")
        elif name in spec.values and declaration.secret:
            return _false(c.SECRET_IN_PLAIN_SIGHT, f"field {name} is secret: give it by valuesFrom, from a Secret, not in values")
        elif name in spec.values or declaration.default is not None:
            values[name] = spec.values.get(name, declaration.default or "")
        elif declaration.required:
            how = "valuesFrom" if declaration.secret else "values or valuesFrom"
            return _false(c.FIELD_MISSING, f"field {name} is required: give it in {how}")
        if name in values and (problem := value_problem(declaration, values[name])):
            return _false(c.FIELD_INVALID, f"field {name} {problem}")
    return FieldValues(values, frozenset(f.name for f in fields if f.secret or f.name in sources))


def value_problem(declaration: InstallField, value: str) -> str | None:
    """Return what is wrong with a value, without naming it."""
    if len(value) > _VALUE_LIMIT:
        return f"is longer than {_VALUE_LIMIT} characters"
    if "\0" in value:
        return "contains a NUL character"
    match declaration.type:
        case "Number" if not re.fullmatch(r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,3})?", value):
            return "is not a number"
        case "Boolean" if value not in {"true", "false"}:
            return "is neither true nor false"
        case "Choice" if value not in declaration.choices:
            return f"is none of {', '.join(sorted(declaration.choices))}"
        case "String" if declaration.pattern is not None and not _matches(declaration.pattern, value):
            return f"does not match {declaration.pattern}"
    if declaration.type != "File" and any(ord(char) < 32 or ord(char) == 127 for char in value):
        return "contains a line break or another control character; only a field of type File may"
    return None


def _false(reason: str, message: str) -> c.Finding:
    return c.false(c.VALUES_RESOLVED, reason, message)
