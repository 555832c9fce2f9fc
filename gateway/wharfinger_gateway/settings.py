"""Every environment variable of the gateway, its default and its meaning. What the platform does stands in the platform settings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names and addresses of this machine for itself."""


class SettingsError(ValueError):
    """A variable has no usable value; the message names it."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect."""
        return self.host in LOOPBACK


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How this process runs."""

    system_namespace: str
    """WHARFINGER_NAMESPACE: the system namespace (default: the pod's own, or the kubeconfig context's)."""
    listen: Address
    """WHARFINGER_LISTEN: HOST:PORT for MCP clients (default: 0.0.0.0:8080)."""
    probe_listen: Address
    """WHARFINGER_PROBE_LISTEN: HOST:PORT for /livez, /readyz and /metrics (default: 0.0.0.0:8081)."""
    replica_address: str
    """WHARFINGER_REPLICA_ADDRESS: HOST:PORT at which other replicas reach this one (default: none, there is no other)."""
    drain_seconds: int
    """WHARFINGER_DRAIN_SECONDS: how long calls may go on after SIGTERM (default: 30)."""
    log_level: str
    """WHARFINGER_LOG_LEVEL: DEBUG, INFO, WARNING or ERROR (default: INFO)."""
    audit_argument_bytes: int
    """WHARFINGER_AUDIT_ARGUMENT_BYTES: how much of a call's arguments its audit record holds, secrets and all that callers write there (default: 0)."""
    export_traces: bool
    """OTEL_EXPORTER_OTLP_ENDPOINT: URL of what takes spans of calls by OTLP over HTTP; OpenTelemetry's other variables count as well (default: nobody does)."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """Return the settings.

        Raises SettingsError naming the variable that has no usable value.
        """
        level = environ.get("WHARFINGER_LOG_LEVEL", "INFO").upper()
        if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise SettingsError(f"WHARFINGER_LOG_LEVEL={level!r} is none of DEBUG, INFO, WARNING, ERROR")
        return cls(
            system_namespace=environ.get("WHARFINGER_NAMESPACE", ""),
            listen=_address("WHARFINGER_LISTEN", environ.get("WHARFINGER_LISTEN", "0.0.0.0:8080")),
            probe_listen=_address("WHARFINGER_PROBE_LISTEN", environ.get("WHARFINGER_PROBE_LISTEN", "0.0.0.0:8081")),
            replica_address=_authority("WHARFINGER_REPLICA_ADDRESS", environ.get("WHARFINGER_REPLICA_ADDRESS", "")),
            drain_seconds=_number("WHARFINGER_DRAIN_SECONDS", environ, 30, 3600),
            log_level=level,
            audit_argument_bytes=_number("WHARFINGER_AUDIT_ARGUMENT_BYTES", environ, 0, 64 * 1024),
            export_traces=_exports_traces(environ),
        )


def _exports_traces(environ: Mapping[str, str]) -> bool:
    """Tell whether the standard variables ask for traces (OpenTelemetry, "SDK Environment Variables")."""
    asked = any(environ.get(f"OTEL_EXPORTER_OTLP{part}_ENDPOINT") for part in ("", "_TRACES"))
    if not asked or environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    protocol = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf"
    if protocol != "http/protobuf":
        raise SettingsError(f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol!r}: only http/protobuf is spoken, which collectors take at port 4318")
    return True


def _number(name: str, environ: Mapping[str, str], default: int, most: int) -> int:
    text = environ.get(name, str(default))
    if not text.isascii() or not text.isdigit() or int(text) > most:
        raise SettingsError(f"{name}={text!r} is not a number from 0 to {most}")
    return int(text)


def _address(name: str, text: str) -> Address:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise SettingsError(f"{name}={text!r} is not HOST:PORT such as 0.0.0.0:8080 or [::]:8080")
    return Address(host, int(port))


def _authority(name: str, text: str) -> str:
    if not text:
        return ""
    address = _address(name, text)
    return f"[{address.host}]:{address.port}" if ":" in address.host else f"{address.host}:{address.port}"


def description() -> str:
    """Return what `--help` says about the variables: the texts above."""
    documented = re.findall(r'"""((?:WHARFINGER|OTEL)_[A-Z_]+): (.+?)\."""', inspect.getsource(Settings))
    return "\n".join(["environment variables:", *(f"  {name}\n      {meaning}" for name, meaning in documented)])
