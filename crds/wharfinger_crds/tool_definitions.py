"""Tool definitions as they are stored: a JSON list, named by the hash of its text, so that equal lists are stored once.

Two hashes with two meanings. That of the text names the ConfigMap, and says where to read. That of the digests says what the
definitions are, whatever the order in which a server writes the keys of a tool: some do it in another order at each start, and
neither is that a change to be accepted nor may it break a pin that a manifest holds.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakValueDictionary

from wharfinger_crds import names

PLAIN_BYTES: Final = 128 * 1024
"""Up to here a list is stored as text that people can read with kubectl; a larger one is compressed."""
STORED_BYTES: Final = 900_000
"""A ConfigMap holds a mebibyte; the rest is for its metadata."""
TEXT_BYTES: Final = 8 * 1024 * 1024
"""What is unpacked at most: nothing larger was ever packed here."""
_LEVEL: Final = 6


class DefinitionsTooLargeError(ValueError):
    """The list does not fit into a ConfigMap; the message holds its sizes."""


class MalformedDefinitionsError(ValueError):
    """The ConfigMap holds no list of definitions; the message repeats none of its contents."""


@dataclass(frozen=True)
class Definitions:
    """A list of definitions, packed: that of one server can be mebibytes, and there are many servers."""

    hash: str
    """Of the text."""
    digests: Mapping[str, str]
    """What each tool is, by its name, sorted."""
    packed: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The document."""
        return zlib.decompress(self.packed).decode()

    def data(self) -> dict[str, Any]:
        """Return the parts of the ConfigMap that hold the document."""
        text = self.text
        if len(text.encode()) <= PLAIN_BYTES:
            return {"data": {names.TOOLS_KEY: text}}
        return {"binaryData": {names.PACKED_TOOLS_KEY: base64.b64encode(self.packed).decode()}}


_known: Final[WeakValueDictionary[str, Definitions]] = WeakValueDictionary()
"""By hash, as long as somebody holds them: servers are asked again and again, and mostly say the same."""


def definitions_text(tools: Iterable[Mapping[str, Any]]) -> str:
    """Return the document: sorted by name, keys of each tool in the order the server gave, which is also that of a form."""
    return json.dumps(sorted(tools, key=lambda tool: str(tool["name"])), ensure_ascii=False, separators=(",", ":"))


def definitions_hash(text: str) -> str:
    """Return `sha256:…` of the document."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def definitions_of(tools: Sequence[Mapping[str, Any]]) -> Definitions:
    """Return the definitions of a server's tools; equal lists are one value in memory, too. Raises DefinitionsTooLargeError."""
    text = definitions_text(tools)
    found = definitions_hash(text)
    if (known := _known.get(found)) is not None:
        return known
    plain = text.encode()
    packed = zlib.compress(plain, _LEVEL)
    if len(plain) > TEXT_BYTES or (len(plain) > PLAIN_BYTES and len(packed) > STORED_BYTES):
        raise DefinitionsTooLargeError(
            f"the definitions of the {len(tools)} tools have {len(plain)} bytes, {len(packed)} compressed: "
            f"{TEXT_BYTES} and {STORED_BYTES} can be stored"
        )
    made = _known[found] = Definitions(found, tool_digests(tools), packed)
    return made


def tool_digests(tools: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return a digest of each tool by its name, sorted; the order of its keys at any depth makes no difference."""
    return dict(sorted((str(tool["name"]), _digest(tool)) for tool in tools))


def acceptance_hash(digests: Mapping[str, str]) -> str:
    """Return `sha256:…` of what the tools are: what a manifest names to accept them."""
    return "sha256:" + _digest(dict(digests))


def read_definitions(manifest: Mapping[str, Any]) -> str:
    """Return the document in a ConfigMap, as text or packed. Raises MalformedDefinitionsError, also where it is named otherwise."""
    packed = (manifest.get("binaryData") or {}).get(names.PACKED_TOOLS_KEY)
    text = (manifest.get("data") or {}).get(names.TOOLS_KEY, "") if packed is None else _unpacked(packed)
    wanted = names.tools_name(definitions_hash(text))
    if manifest["metadata"]["name"] != wanted:
        raise MalformedDefinitionsError(f"is not named by the hash of its {names.TOOLS_KEY}, which would be {wanted}")
    return text


def _unpacked(packed: str) -> str:
    unpacking = zlib.decompressobj()
    try:
        plain = unpacking.decompress(base64.b64decode(packed, validate=True), TEXT_BYTES)
        if not unpacking.eof:
            raise MalformedDefinitionsError(f"its {names.PACKED_TOOLS_KEY} is cut off, or unpacks to more than {TEXT_BYTES} bytes")
        return plain.decode()
    except (zlib.error, binascii.Error, UnicodeDecodeError):
        raise MalformedDefinitionsError(f"its {names.PACKED_TOOLS_KEY} is not zlib-compressed text in base64") from None


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()
