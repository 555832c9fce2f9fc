"""The Deployment of a self-hosted server, hardened, with its Secrets and ServiceAccount.

Invariants: no service-account token, no root, no capability, no volume that the operator did not write itself. Secret
values stand in Secrets only; the pod refers to them, and an HMAC of them rolls the pods when they change.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from wharfinger_bridge.command import MOUNT_PATH, TOKEN_KEY, TOKEN_MOUNT_PATH, BridgeSettings, bridge_command, install_command
from wharfinger_crds import names
from wharfinger_crds.duration import seconds
from wharfinger_crds.pod_defaults import PodDefaults
from wharfinger_crds.registry_entry import HttpServer, SelfHosted
from wharfinger_operator.plan.docker_config import DOCKER_CONFIG_KEY, DOCKER_CONFIG_TYPE
from wharfinger_operator.plan.fields import FieldValues, in_container, placeholders, render
from wharfinger_operator.plan.identity import Identity
from wharfinger_operator.plan.inputs import Inputs
from wharfinger_operator.plan.override_checks import grace_of
from wharfinger_operator.plan.pod_settings import CONTAINER_SECURITY, SMALL_RESOURCES, with_settings
from wharfinger_operator.plan.pull_secret import PullSecret

USER: Final = 65532
HOME: Final = "/home/mcp"
_MAX_SESSIONS: Final = 8
_IDLE_TIMEOUT: Final = "5m"
_GRACE: Final = 30
_GRACE_BESIDE_CALLS: Final = 10
"""Of a pod's time to end, what is not for calls in flight: 3 s until endpoints know, 6 s for the server, and a reserve."""
_POD_SECURITY: Final = {
    "runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER, "seccompProfile": {"type": "RuntimeDefault"},
}  # fmt: skip
_RESOURCES: Final = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}}


@dataclass(frozen=True)
class Server:
    """A server to run: an entry's declaration with the values of one installation."""

    identity: Identity
    declared: SelfHosted
    inputs: Inputs
    image: str
    bridge_image: str
    bridge_token: str = field(repr=False)
    restarted_at: str | None
    suspended: bool
    root_key: bytes = field(repr=False)
    pod_defaults: tuple[PodDefaults | None, ...] = ()
    """The platform's, then the environment's."""

    @property
    def fields(self) -> FieldValues:
        """The values of the installation's fields."""
        return self.inputs.fields

    @property
    def program(self) -> tuple[list[str], list[str]]:
        """Command and arguments as the container's; args of the entry stand in the place of the image's CMD."""
        command, args = ([render(part, self.fields) for part in parts] for parts in (self.declared.command, self.declared.args))
        if self.inputs.entry_point:
            found = self.inputs.entry_point.entry_point
            command, args = list(found.entrypoint), args or list(found.command)
        return [in_container(part) for part in command], [in_container(part) for part in args]


def workload(server: Server) -> tuple[dict[str, Any], ...]:
    """Return Secrets, ServiceAccount, Deployment and Service, in the order in which they are applied."""
    secrets = _secrets(server)
    hashed = _input_hash(server, secrets)
    # First, so that nothing else changes before the logs of pods that run with other values are withheld.
    objects = [_environment(server, secrets, hashed)]
    objects += [_secret(server, name, data) for name, data in sorted(secrets.items()) if data and name != _environment_name(server)]
    objects += [_pull_secret(server, pull) for pull in server.inputs.pull_secrets]
    account = server.identity.child("v1", "ServiceAccount", server.identity.server, automountServiceAccountToken=False)
    return (*objects, account, _deployment(server, hashed), _service(server))


def bridge_token(root_key: bytes, namespace: str, name: str, uid: str) -> str:
    """Return the bearer token of an installation's bridge: derived, so that a plan needs no random numbers and a restore no state."""
    return hmac.new(root_key, f"bridge\0{namespace}\0{name}\0{uid}".encode(), hashlib.sha256).hexdigest()


def _secrets(server: Server) -> dict[str, dict[str, str]]:
    rendered = {e.name: render(e.value or "", server.fields) for e in server.declared.env if _is_secret(server, e.value or "")}
    env = {**rendered, **server.inputs.env}
    files = {f"file-{i}": render(f.value, server.fields) for i, f in enumerate(server.declared.files)}
    auth = {TOKEN_KEY: server.bridge_token} if server.declared.transport == "Stdio" else {}
    name = server.identity.server
    return {f"{name}-bridge": auth, _environment_name(server): env, f"{name}-files": files}


def _environment_name(server: Server) -> str:
    return f"{server.identity.server}-env"


def _is_secret(server: Server, template: str) -> bool:
    return not server.fields.secret.isdisjoint(placeholders(template))


def _secret(server: Server, name: str, data: Mapping[str, str]) -> dict[str, Any]:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in sorted(data.items())}
    return server.identity.child("v1", "Secret", name, type="Opaque", data=encoded)


def _environment(server: Server, secrets: Mapping[str, Mapping[str, str]], hashed: str) -> dict[str, Any]:
    """Return the Secret with environment variables and, in keys that no pod reads, what must not be shown of its pods' logs.

    That is the values of fields that are but a part of what is rendered. It is always there, since it says whose pods' values are known.
    """
    name, fields = _environment_name(server), server.fields
    whole = {value for data in secrets.values() for value in data.values()}
    parts = {f"field.{each}": fields.values[each] for each in fields.secret if fields.values.get(each, "") not in whole | {""}}
    return _secret(server, name, {**secrets[name], **parts, names.INPUT_HASH_KEY: hashed})


def _pull_secret(server: Server, pull: PullSecret) -> dict[str, Any]:
    data = {DOCKER_CONFIG_KEY: base64.b64encode(pull.document).decode()}
    return server.identity.child("v1", "Secret", _pull_name(server, pull), type=DOCKER_CONFIG_TYPE, data=data)


def _pull_name(server: Server, pull: PullSecret) -> str:
    return f"{server.identity.server}-{pull.suffix}"


def _input_hash(server: Server, secrets: Mapping[str, Mapping[str, str]]) -> str:
    digest = hmac.new(server.root_key, digestmod=hashlib.sha256)
    for name, data in sorted(secrets.items()):
        for key, value in sorted(data.items()):
            digest.update(f"{name}\0{key}\0{len(value)}\0{value}\0".encode())
    return digest.hexdigest()[:32]


def _deployment(server: Server, hashed: str) -> dict[str, Any]:
    identity = server.identity
    annotations = {names.INPUT_HASH: hashed}
    if server.restarted_at:
        annotations[names.RESTARTED_AT] = server.restarted_at
    stdio, pulls = server.declared.transport == "Stdio", server.inputs.pull_secrets
    pod = {
        "serviceAccountName": identity.server,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": _POD_SECURITY,
        **({"imagePullSecrets": [{"name": _pull_name(server, pull)} for pull in pulls]} if pulls else {}),
        "terminationGracePeriodSeconds": _GRACE,
        **({"initContainers": [_install(server)]} if stdio else {}),
        "containers": [_container(server)],
        "volumes": _volumes(server),
    }
    spec = {
        "replicas": 0 if server.suspended else server.declared.replicas or 1,
        "revisionHistoryLimit": 3,
        "progressDeadlineSeconds": 300,
        "selector": {"matchLabels": identity.selector},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {"metadata": {"labels": identity.pod_labels, "annotations": annotations}, "spec": pod},
    }
    deployment = identity.child(
        "apps/v1", "Deployment", identity.server, spec=with_settings(spec, server.pod_defaults, server.declared.deployment)
    )
    if server.inputs.entry_point:
        deployment["metadata"]["annotations"] = {names.IMAGE_CONFIG: server.inputs.entry_point.annotation}
    return deployment


def _install(server: Server) -> dict[str, Any]:
    return {
        "name": "bridge",
        "image": server.bridge_image,
        "command": install_command(),
        "resources": SMALL_RESOURCES,
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [{"name": "bridge", "mountPath": MOUNT_PATH}],
    }


def _container(server: Server) -> dict[str, Any]:
    declared = server.declared
    command, args = server.program
    mounts: list[dict[str, Any]] = [{"name": "tmp", "mountPath": "/tmp"}, {"name": "home", "mountPath": HOME}]  # noqa: S108 - the container's own
    mounts += [{"name": "files", "mountPath": f.path, "subPath": f"file-{i}", "readOnly": True} for i, f in enumerate(declared.files)]
    if declared.transport == "Stdio":
        program = {"command": bridge_command([*command, *args], port=names.SERVER_PORT, **_bridge_settings(declared))}
        mounts += [
            {"name": "bridge", "mountPath": MOUNT_PATH, "readOnly": True},
            {"name": "bridge-token", "mountPath": TOKEN_MOUNT_PATH, "readOnly": True},
        ]
        port = names.SERVER_PORT
        probes: dict[str, Any] = {
            # Endpoints learn of the end a moment after the bridge does, which stops accepting at once.
            "lifecycle": {"preStop": {"sleep": {"seconds": 3}}},
            # A server that was asked for packages first may take minutes; the bridge itself is up at once.
            "readinessProbe": {
                "httpGet": {"path": "/readyz", "port": "mcp"},
                "periodSeconds": 2,
                "timeoutSeconds": 2,
                "failureThreshold": 3,
            },
            "livenessProbe": {
                "httpGet": {"path": "/livez", "port": "mcp"},
                "periodSeconds": 10,
                "timeoutSeconds": 5,
                "failureThreshold": 6,
            },
        }
    else:
        program = {**({"command": command} if command else {}), **({"args": args} if args else {})}
        port = (declared.http or HttpServer()).port
        probes = {"readinessProbe": {"tcpSocket": {"port": "mcp"}, "periodSeconds": 2, "timeoutSeconds": 2, "failureThreshold": 3}}
    return {
        "name": names.SERVER_CONTAINER,
        "image": server.image,
        "imagePullPolicy": "IfNotPresent",
        **program,
        "env": _env(server),
        "ports": [{"name": "mcp", "containerPort": port, "protocol": "TCP"}],
        **probes,
        "resources": _RESOURCES,
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": mounts,
    }


def _bridge_settings(declared: SelfHosted) -> BridgeSettings:
    settings: BridgeSettings = {}
    grace = grace_of(declared.deployment or {})
    if grace and grace > _GRACE:
        settings["grace"] = grace - _GRACE_BESIDE_CALLS
    if declared.stdio and declared.stdio.sessions == "PerSession":
        settings["max_sessions"] = declared.stdio.max_sessions or _MAX_SESSIONS
        settings["idle_timeout"] = int(seconds(declared.stdio.idle_timeout or _IDLE_TIMEOUT))
    return settings


def _env(server: Server) -> list[dict[str, Any]]:
    env: list[dict[str, Any]] = []
    if not any(e.name == "HOME" for e in server.declared.env):
        env.append({"name": "HOME", "value": HOME})
    for e in server.declared.env:
        if e.value is None or _is_secret(server, e.value):
            env.append({"name": e.name, "valueFrom": {"secretKeyRef": {"name": _environment_name(server), "key": e.name}}})
        else:
            env.append({"name": e.name, "value": in_container(render(e.value, server.fields))})
    return env


def _volumes(server: Server) -> list[dict[str, Any]]:
    name = server.identity.server
    volumes: list[dict[str, Any]] = [
        {"name": "tmp", "emptyDir": {"sizeLimit": "512Mi"}},
        {"name": "home", "emptyDir": {"sizeLimit": "512Mi"}},
    ]
    if server.declared.files:
        volumes.append({"name": "files", "secret": {"secretName": f"{name}-files", "defaultMode": 0o440}})
    if server.declared.transport == "Stdio":
        volumes.append({"name": "bridge", "emptyDir": {"sizeLimit": "64Mi"}})
        volumes.append({"name": "bridge-token", "secret": {"secretName": f"{name}-bridge", "defaultMode": 0o440}})
    return volumes


def _service(server: Server) -> dict[str, Any]:
    identity = server.identity
    return identity.child(
        "v1", "Service", identity.server,
        spec={
            "type": "ClusterIP",
            "selector": identity.selector,
            "ports": [{"name": "mcp", "port": names.SERVER_PORT, "targetPort": "mcp", "protocol": "TCP"}],
        },
    )  # fmt: skip
