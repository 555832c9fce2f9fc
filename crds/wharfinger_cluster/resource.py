"""The resources of the Kubernetes API that we name, and the URL paths under which the API server serves them.

Invariants: a path names exactly what was asked for. A name that no object can have is refused: an empty one would turn "delete this object"
into "delete this collection", and the API server takes an escaped slash for a slash, so that a name could lead to another object.
"""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

Object = dict[str, Any]
"""A Kubernetes object as the API server serialises it: apiVersion, kind, metadata and whatever the kind adds."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One served resource: what it takes to build a URL, and the kind its objects bear."""

    group: str
    """The API group; empty for the core group."""
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """What objects of this resource carry as `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def collection(self, namespace: str | None = None) -> str:
        """Return the path to list, watch or create; without a namespace, across all of them."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        if namespace is None:
            return f"{root}/{self.plural}"
        if not self.namespaced:
            raise ValueError(f"{self.plural} are cluster-scoped, but namespace {namespace!r} was given")
        return f"{root}/namespaces/{_segment(namespace)}/{self.plural}"

    def object(self, name: str, namespace: str | None = None, subresource: str = "") -> str:
        """Return the path of one object, or of one of its subresources such as `status`."""
        if self.namespaced and namespace is None:
            raise ValueError(f"{self.plural} are namespaced, but {name!r} was given without a namespace")
        path = f"{self.collection(namespace)}/{_segment(name)}"
        return f"{path}/{_segment(subresource)}" if subresource else path

    def __str__(self) -> str:
        """Return the name `kubectl` uses, such as `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


@dataclass(frozen=True, slots=True)
class Scope:
    """Which objects of a resource a list, a watch or an informer covers; the default covers all."""

    namespace: str | None = None
    labels: str = ""
    """A label selector, such as `app=github,env!=test`."""
    fields: str = ""
    """A field selector, such as `metadata.name=github`."""


EVERYTHING = Scope()
_PLAIN = re.compile(r"[-.a-zA-Z0-9]+")
"""What needs no quoting."""


def _segment(name: str) -> str:
    # apimachinery's IsValidPathSegmentName
    if name in {"", ".", ".."} or "/" in name or "%" in name:
        raise ValueError(f"{name[:253]!r} is no object name")
    return name if _PLAIN.fullmatch(name) else quote(name, safe="")


CONFIG_MAP = Resource("", "v1", "configmaps", "ConfigMap")
NAMESPACE = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
NODE = Resource("", "v1", "nodes", "Node", namespaced=False)
POD = Resource("", "v1", "pods", "Pod")
SECRET = Resource("", "v1", "secrets", "Secret")
SERVICE = Resource("", "v1", "services", "Service")
SERVICE_ACCOUNT = Resource("", "v1", "serviceaccounts", "ServiceAccount")
DAEMON_SET = Resource("apps", "v1", "daemonsets", "DaemonSet")
JOB = Resource("batch", "v1", "jobs", "Job")
SERVICE_CIDR = Resource("networking.k8s.io", "v1", "servicecidrs", "ServiceCIDR", namespaced=False)
CUSTOM_RESOURCE_DEFINITION = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
VALIDATING_ADMISSION_POLICY = Resource(
    "admissionregistration.k8s.io", "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", namespaced=False
)
VALIDATING_ADMISSION_POLICY_BINDING = Resource(
    "admissionregistration.k8s.io", "v1", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", namespaced=False
)
TOKEN_REVIEW = Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", namespaced=False)
SUBJECT_ACCESS_REVIEW = Resource("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False)
DEPLOYMENT = Resource("apps", "v1", "deployments", "Deployment")
REPLICA_SET = Resource("apps", "v1", "replicasets", "ReplicaSet")
LEASE = Resource("coordination.k8s.io", "v1", "leases", "Lease")
ENDPOINT_SLICE = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
EVENT = Resource("events.k8s.io", "v1", "events", "Event")
NETWORK_POLICY = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
CILIUM_NETWORK_POLICY = Resource("cilium.io", "v2", "ciliumnetworkpolicies", "CiliumNetworkPolicy")
APPLICATION_NETWORK_POLICY = Resource("networking.k8s.aws", "v1alpha1", "applicationnetworkpolicies", "ApplicationNetworkPolicy")
FQDN_NETWORK_POLICY = Resource("networking.gke.io", "v1alpha1", "fqdnnetworkpolicies", "FQDNNetworkPolicy")
