"""Decisions that are the same for many installations, made once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

KEPT: Final = 256

P = ParamSpec("P")
T = TypeVar("T")


def once(decide: Callable[P, T], kept: int = KEPT) -> Callable[P, T]:
    """Return a pure function with a memory, which knows its arguments by identity: they must be frozen, and are compared at no cost.

    `kept` are the answers that are remembered, the oldest going first. An entry or an environment that was written is another object, and decided anew.
    """
    answers: OrderedDict[tuple[int, ...], tuple[tuple[Any, ...], T]] = OrderedDict()

    @wraps(decide)
    def remembered(*values: P.args, **named: P.kwargs) -> T:
        key = tuple(map(id, values))
        if key not in answers:
            # The values are kept as well: what is gone gives its identity to others.
            answers[key] = values, decide(*values, **named)
            if len(answers) > kept:
                answers.popitem(last=False)
        return answers[key][1]

    return remembered
