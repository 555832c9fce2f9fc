"""Image archives without a container builder: a list of contents becomes one layer in an OCI layout, which `ctr images import` reads.

Formats: OCI image-spec v1.1, image-layout.md, manifest.md and config.md. Equal contents give equal bytes.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Entry:
    """One file, symbolic link or folder of an image; owned by root unless `owner` says otherwise."""

    path: str
    source: Path | bytes | None = None
    """A file to copy or its bytes; with neither this nor a link the entry is a folder."""
    link: str = ""
    mode: int = 0o755
    owner: int = 0


@dataclass(frozen=True)
class Config:
    """What the image runs, and as whom."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    env: tuple[str, ...] = ("PATH=/usr/local/bin:/usr/bin:/bin",)
    architecture: str = "amd64"


def layer(entries: Iterable[Entry]) -> bytes:
    """An uncompressed layer. Folders that entries need are made."""
    wanted: dict[str, Entry] = {}
    for entry in entries:
        path = entry.path.strip("/")
        for parent in list(Path(path).parents)[-2::-1]:
            wanted.setdefault(str(parent), Entry(str(parent)))
        wanted[path] = entry
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, entry in sorted(wanted.items()):
            info = tarfile.TarInfo(path)
            info.mode, info.uid, info.gid = entry.mode, entry.owner, entry.owner
            if entry.link:
                info.type, info.linkname = tarfile.SYMTYPE, entry.link
                tar.addfile(info)
            elif entry.source is None:
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            else:
                data = entry.source if isinstance(entry.source, bytes) else entry.source.read_bytes()
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def write(target: Path, name: str, config: Config, entries: Iterable[Entry]) -> None:
    """Write the archive of an image; `name` has a tag, such as localhost/pause:1."""
    blobs: dict[str, bytes] = {}

    def blob(data: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

    # Uncompressed: takes more room and imports faster.
    contents = blob(layer(entries), "layer.v1.tar")
    image_config = {
        "architecture": config.architecture,
        "os": "linux",
        "config": {
            "Env": list(config.env),
            "Entrypoint": list(config.entrypoint) or None,
            "Cmd": list(config.command) or None,
            "User": config.user,
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": [contents["digest"]]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob(_json(image_config), "config.v1+json"),
        "layers": [contents],
    }
    described = blob(_json(manifest), "manifest.v1+json")
    described["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rpartition(":")[2]}
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [described]}
    with tarfile.open(target, "w") as tar:
        _add(tar, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        _add(tar, "index.json", _json(index))
        for digest, data in blobs.items():
            _add(tar, f"blobs/sha256/{digest}", data)


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _add(tar: tarfile.TarFile, path: str, data: bytes) -> None:
    info = tarfile.TarInfo(path)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))
