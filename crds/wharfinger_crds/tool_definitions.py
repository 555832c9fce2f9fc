"""Tool definitions as they are stored: a JSON list, named by the hash of its contents, so that equal lists are stored once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any


def definitions_text(tools: Sequence[Mapping[str, Any]]) -> str:
    """Return the document for the ConfigMap: sorted by name, keys of each tool in the order the server gave."""
    return json.dumps(sorted(tools, key=lambda tool: str(tool["name"])), ensure_ascii=False, separators=(",", ":"))


def definitions_hash(text: str) -> str:
    """Return `sha256:…` of the document."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
