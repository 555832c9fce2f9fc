"""The platform settings in their ConfigMap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wharfinger_cluster.client import Cluster
from wharfinger_cluster.resource import CONFIG_MAP
from wharfinger_crds import names
from wharfinger_crds.settings import Settings, SettingsError, read_settings


async def settings_of(cluster: Cluster, namespace: str) -> Settings:
    """Return the platform settings of a cluster. Raises SettingsError with the field's path, or ClusterError."""
    settings = settings_in(await cluster.get(CONFIG_MAP, names.SETTINGS_CONFIGMAP, namespace))
    if settings.namespaces.system != namespace:
        raise SettingsError(f"namespaces.system: is {settings.namespaces.system}, but the settings stand in {namespace}")
    return settings


def settings_in(config_map: Mapping[str, Any]) -> Settings:
    """Return the settings that a ConfigMap holds. Raises SettingsError with the field's path."""
    return read_settings(config_map.get("data", {}).get(names.SETTINGS_KEY, ""))
