"""What each provider makes of each sort of rules: an Environment in, objects and DomainsExact out."""

from pathlib import Path
from typing import Any

import pytest

from golden import Golden
from provider_fence import PROVIDERS, scene_of


def outcome(case: Path, name: str) -> dict[str, Any]:
    made = scene_of(case)
    provider = made.provider(name)
    exact, enforced = provider.domains_exact(made.rules), provider.domains_enforced(made.rules)
    shown = {f.type: " ".join(filter(None, (f.status, f.reason + ":", f.message))) for f in (enforced, exact)}
    return {**shown, "objects": list(made.policies(name))}


@pytest.mark.requirement("ENV-3", "ENV-4", "ENV-5")
def test_objects_match_their_golden_file(case: Path, golden: Golden) -> None:
    golden({name: outcome(case, name) for name in PROVIDERS})
