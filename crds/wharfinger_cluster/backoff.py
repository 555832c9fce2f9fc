"""How long to wait before the next attempt."""

import random
from collections.abc import Callable


def delay(failures: int, base: float, cap: float, random: Callable[[], float] = random.random) -> float:
    """Return seconds to wait after `failures` failures in a row, counted from 1: doubling from `base`, at most `cap`, half of it jitter.

    The jitter keeps processes that failed together from coming back together.
    """
    full = min(cap, base * 2.0 ** min(failures - 1, 62))
    return full * (0.5 + random() / 2)
