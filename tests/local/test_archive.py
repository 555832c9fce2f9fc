"""Image archives: what a container runtime reads of them."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

from local_cluster.archive import Config, Entry, layer, write

ENTRIES = (Entry("/bin/server", b"program"), Entry("/bin/sh", link="server"), Entry("/tmp", mode=0o1777))  # noqa: S108 - a path in an image


def blobs(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar.getmembers()}  # type: ignore[union-attr]


def test_equal_contents_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / name, "localhost/x:1", Config(), ENTRIES if name == "one" else ENTRIES[::-1])

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_every_blob_lies_under_its_own_digest_and_is_reached_from_the_index(tmp_path: Path) -> None:
    write(tmp_path / "image", "localhost/x:1", Config(entrypoint=("/bin/server",), user="65532"), ENTRIES)
    held = blobs(tmp_path / "image")

    def follow(described: dict[str, str]) -> bytes:
        found = held[f"blobs/{described['digest'].replace(':', '/')}"]
        assert described["digest"] == f"sha256:{hashlib.sha256(found).hexdigest()}"
        return found

    manifest = json.loads(follow(json.loads(held["index.json"])["manifests"][0]))
    config = json.loads(follow(manifest["config"]))
    contents = follow(manifest["layers"][0])

    assert config["config"]["User"] == "65532"
    assert config["config"]["Entrypoint"] == ["/bin/server"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(contents).hexdigest()}"]


def test_the_index_carries_the_name_that_containerd_imports_it_under(tmp_path: Path) -> None:
    write(tmp_path / "image", "localhost/x:1", Config(), ENTRIES)
    annotations = json.loads(blobs(tmp_path / "image")["index.json"])["manifests"][0]["annotations"]

    assert annotations == {"io.containerd.image.name": "localhost/x:1", "org.opencontainers.image.ref.name": "1"}


def test_a_layer_has_the_folders_of_its_files_before_them() -> None:
    with tarfile.open(fileobj=io.BytesIO(layer([Entry("/a/b/file", b"x")]))) as tar:
        names = [(m.name, m.isdir()) for m in tar.getmembers()]

    assert names == [("a", True), ("a/b", True), ("a/b/file", False)]


def test_a_layer_keeps_modes_links_and_the_owner_root() -> None:
    with tarfile.open(fileobj=io.BytesIO(layer(ENTRIES))) as tar:
        members = {m.name: m for m in tar.getmembers()}

    assert members["tmp"].mode == 0o1777
    assert members["bin/sh"].linkname == "server"
    assert {m.uid for m in members.values()} == {0}
