"""Documents and objects of earlier versions are read by this one. Files are added with each version, and never changed."""

from pathlib import Path

import pytest
import yaml

from wharfinger_crds.connection import MalformedConnectionError, read_connection
from wharfinger_crds.kinds import KINDS

OLD = Path(__file__).parent / "testdata/earlier"
CONNECTIONS = sorted(OLD.glob("connection-*.json"))
OBJECTS = [(path.name, document) for path in sorted(OLD.glob("objects-*.yaml")) for document in yaml.safe_load_all(path.read_text())]


@pytest.mark.requirement("OPS-9")
@pytest.mark.parametrize("path", CONNECTIONS, ids=lambda path: path.stem)
def test_a_connection_of_an_earlier_operator_is_read_whole(path: Path) -> None:
    connection = read_connection(path.read_bytes())

    assert (connection.namespace, connection.name, connection.uid) == ("team-a", "jira", "00000000-0000-0000-0000-000000000001")
    assert connection.url.startswith("http://mcp-jira-")
    assert [(h.name, h.value) for h in connection.headers] == [("authorization", "Bearer planted")]


@pytest.mark.requirement("OPS-9")
def test_a_gateway_reads_fields_that_it_does_not_know_and_refuses_a_version_that_it_does_not_know() -> None:
    text = CONNECTIONS[-1].read_text().rstrip().removesuffix("}")

    assert read_connection(text + ', "later": {"a": 1}}').name == "jira"
    with pytest.raises(MalformedConnectionError, match="upgrade the gateway"):
        read_connection(text.replace('"version": 1', '"version": 99') + "}")


@pytest.mark.requirement("OPS-9")
@pytest.mark.parametrize(("origin", "document"), OBJECTS, ids=[f"{origin}-{d['kind']}" for origin, d in OBJECTS])
def test_an_object_that_an_earlier_version_stored_is_read(origin: str, document: dict[str, object]) -> None:
    kind = next(kind for kind in KINDS if kind.kind == document["kind"])

    found = kind.model.parse(document)

    assert found.manifest()["spec"] == document["spec"]
