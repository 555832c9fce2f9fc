"""Our own kinds as resources of the API server."""

from wharfinger_cluster.resource import Resource
from wharfinger_crds import names
from wharfinger_crds.kinds import Kind


def kind_resource(kind: Kind) -> Resource:
    """Return the resource of one of our kinds."""
    return Resource(names.GROUP, names.VERSION, kind.plural, kind.kind, kind.namespaced)
