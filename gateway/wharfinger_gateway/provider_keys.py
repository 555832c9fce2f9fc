"""How many keys of identity providers can be used, and how many cannot: a provider whose keys are dropped loses its people one rotation later."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from wharfinger_oauth.issuers import TrustedIssuer


class ProviderKeys(Collector):
    """The gauge; what it shows is what was fetched last, and nothing is fetched for it."""

    def __init__(self, issuers: Callable[[], Mapping[str, TrustedIssuer]]) -> None:
        self._issuers = issuers

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the gauge."""
        gauge = GaugeMetricFamily(
            "wharfinger_gateway_provider_keys",
            "Signing keys of identity providers; dropped are those that are too weak, of an unknown kind or malformed.",
            labels=("identity_provider", "state"),
        )
        for one in self._issuers().values():
            if (keys := one.keys.known) is not None:
                gauge.add_metric((one.provider.name, "usable"), len(keys.usable))
                gauge.add_metric((one.provider.name, "dropped"), keys.dropped)
        return (gauge,)
