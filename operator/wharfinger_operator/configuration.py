"""Every environment variable of the operator, its default and its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Configuration:
    """How this process runs; what the platform does stands in the platform settings."""

    system_namespace: str = "wharfinger-system"
    """WHARFINGER_NAMESPACE: the system namespace."""
    identity: str = "wharfinger-operator"
    """WHARFINGER_POD: name of this pod; holder of the lease."""
    probe_port: int = 8081
    """WHARFINGER_PROBE_PORT: /livez, /readyz and /metrics."""
    logs_port: int = 8082
    """WHARFINGER_LOGS_PORT: logs of installations, for who may read them."""
    workers: int = 8
    """WHARFINGER_WORKERS: objects worked on at the same time."""
    log_level: str = "INFO"
    """WHARFINGER_LOG_LEVEL: DEBUG, INFO, WARNING or ERROR."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Configuration:
        """Return the configuration of an environment. Raises ValueError, naming the variable."""

        def number(name: str, default: int, maximum: int) -> int:
            text = environ.get(name, str(default))
            if not text.isdecimal() or not 1 <= int(text) <= maximum:
                raise ValueError(f"{name}={text!r} is not a number between 1 and {maximum}")
            return int(text)

        level = environ.get("WHARFINGER_LOG_LEVEL", cls.log_level).upper()
        if level not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise ValueError(f"WHARFINGER_LOG_LEVEL={level!r} is none of DEBUG, INFO, WARNING, ERROR")
        return cls(
            system_namespace=environ.get("WHARFINGER_NAMESPACE", cls.system_namespace),
            identity=environ.get("WHARFINGER_POD", cls.identity),
            probe_port=number("WHARFINGER_PROBE_PORT", cls.probe_port, 65535),
            logs_port=number("WHARFINGER_LOGS_PORT", cls.logs_port, 65535),
            workers=number("WHARFINGER_WORKERS", cls.workers, 64),
            log_level=level,
        )
