"""Manifests that a real API server accepts or refuses; the first line of a refused one says with which words."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.errors import Invalid
from wharfinger_cluster.kind_resource import kind_resource
from wharfinger_cluster.resource import Object
from wharfinger_crds.kinds import KINDS

TESTDATA = Path(__file__).parent / "testdata"
EXAMPLES = Path(__file__).parents[2] / "examples"
BY_KIND = {kind.kind: kind for kind in KINDS}


def documents(path: Path) -> list[Object]:
    return [d for d in yaml.safe_load_all(path.read_text()) if d and d["kind"] in BY_KIND]


def first_comment(path: Path) -> str:
    return path.read_text().splitlines()[0].removeprefix("# ")


@pytest.fixture
async def served(crds: None, cluster: Cluster) -> AsyncIterator[Cluster]:
    yield cluster


def placed(manifest: Object, namespace: str) -> Object:
    kind = BY_KIND[manifest["kind"]]
    return {**manifest, "metadata": {**manifest["metadata"], **({"namespace": namespace} if kind.namespaced else {})}}


@pytest.mark.parametrize("path", sorted([*TESTDATA.glob("accepted/*.yaml"), *EXAMPLES.glob("*/*.yaml")]), ids=lambda path: path.stem)
async def test_a_sound_manifest_is_accepted_and_read_back_whole(path: Path, served: Cluster, namespace: str) -> None:
    for manifest in documents(path):
        kind = BY_KIND[manifest["kind"]]

        own_name = {**manifest, "metadata": {"name": f"corpus-{manifest['metadata']['name']}"}}
        stored = await served.create(kind_resource(kind), placed(own_name, namespace), dry_run=True)

        model = kind.model.parse(stored)
        assert model.spec.manifest() == kind.model.parse(manifest).spec.manifest()  # type: ignore[attr-defined]
        assert stored["spec"] == manifest["spec"], "the API server changed or pruned something"
        assert model.status.observed_generation == -1  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", sorted(TESTDATA.glob("refused/*.yaml")), ids=lambda path: path.stem)
async def test_a_wrong_manifest_is_refused_with_the_field_and_the_rule(path: Path, served: Cluster, namespace: str) -> None:
    expected, (manifest,) = first_comment(path), documents(path)

    with pytest.raises(Invalid) as caught:
        await served.create(kind_resource(BY_KIND[manifest["kind"]]), placed(manifest, namespace), dry_run=True)

    assert expected in str(caught.value)


@pytest.mark.requirement("INS-1")
@pytest.mark.parametrize(
    "change", [{"owner": {"user": "okta:alice", "team": None}}, {"entryRef": {"name": "other"}}], ids=["owner", "entry"]
)
async def test_owner_and_entry_of_an_installation_never_change(change: dict[str, Any], served: Cluster, namespace: str) -> None:
    resource = kind_resource(BY_KIND["McpInstallation"])
    before = {"metadata": {"name": "x", "namespace": namespace}, "spec": {"entryRef": {"name": "time"}, "owner": {"team": "a"}}}
    await served.create(resource, before)

    with pytest.raises(Invalid, match="is immutable"):
        await served.patch(resource, "x", {"spec": change}, namespace)
