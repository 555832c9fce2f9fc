"""Where the templates of an entry stand."""

from __future__ import annotations

from collections.abc import Iterator

from wharfinger_crds.registry_entry import RegistryEntrySpec


def templates(spec: RegistryEntrySpec) -> Iterator[tuple[str, str, bool]]:
    """Yield place, template and whether secret fields may stand there, for every template of the entry."""
    if spec.remote:
        yield "spec.remote.url", spec.remote.url, False
    if spec.self_hosted:
        for i, text in enumerate(spec.self_hosted.command):
            yield f"spec.selfHosted.command[{i}]", text, False
        for i, text in enumerate(spec.self_hosted.args):
            yield f"spec.selfHosted.args[{i}]", text, False
        for env in spec.self_hosted.env:
            yield f"spec.selfHosted.env[{env.name}]", env.value or "", True
        for file in spec.self_hosted.files:
            yield f"spec.selfHosted.files[{file.path}]", file.value, True
    if spec.auth and spec.auth.static:
        yield "spec.auth.static.value", spec.auth.static.value, True
    for header in spec.headers:
        yield f"spec.headers[{header.name}]", header.value, True
