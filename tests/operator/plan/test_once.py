"""Decisions that are made once for the same values."""

from dataclasses import dataclass

from wharfinger_operator.plan import once as module
from wharfinger_operator.plan.once import once


@dataclass(frozen=True)
class Value:
    number: int


def test_the_same_values_are_decided_about_once_and_equal_ones_anew() -> None:
    asked: list[tuple[int, int]] = []

    @once
    def decide(a: Value, b: Value) -> int:
        asked.append((a.number, b.number))
        return a.number + b.number

    one, two = Value(1), Value(2)
    assert [decide(one, two), decide(one, two), decide(two, one), decide(Value(1), two)] == [3, 3, 3, 3]
    assert asked == [(1, 2), (2, 1), (1, 2)]


def test_a_value_that_is_gone_gives_its_answer_to_no_other() -> None:
    @once
    def decide(value: Value) -> int:
        return value.number

    assert [decide(Value(number)) for number in range(2 * module.KEPT)] == list(range(2 * module.KEPT))


def test_memory_is_bounded() -> None:
    asked: list[int] = []

    @once
    def decide(value: Value) -> int:
        asked.append(value.number)
        return value.number

    values = [Value(number) for number in range(module.KEPT + 1)]
    for value in (*values, values[-1], values[0]):
        decide(value)

    assert asked == [*range(module.KEPT + 1), 0]
