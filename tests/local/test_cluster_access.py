"""Which cluster tests get, as far as that is decided before anything is started."""

from pathlib import Path

import pytest

import cluster_access
from cluster_access import ControlPlane, Unavailable


def test_a_named_cluster_is_taken_before_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for tool in ("kubectl", "helm"):
        (tmp_path / tool).touch(mode=0o755)
    (tmp_path / "config").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("WHARFINGER_KUBECONFIG", str(tmp_path / "config"))

    assert cluster_access.control_plane() == ControlPlane(tmp_path / "config", tmp_path / "kubectl", tmp_path / "helm", "named")


def test_a_named_cluster_that_is_no_file_is_said_to_be_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHARFINGER_KUBECONFIG", "/nowhere/config")
    found = cluster_access.control_plane()

    assert isinstance(found, Unavailable)
    assert "/nowhere/config" in found.reason


def test_a_named_cluster_must_be_said_to_hold_the_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHARFINGER_KUBECONFIG", str(tmp_path / "config"))
    found = cluster_access.node(["localhost/wharfinger:dev"])

    assert isinstance(found, Unavailable)
    assert "WHARFINGER_IMAGES_PRESENT=1" in found.remedy
