"""Who makes room when a replica holds as much as it may."""

from wharfinger_gateway.pool import Pool


def pool(*held: tuple[str, str]) -> Pool[str, str]:
    made: Pool[str, str] = Pool(100)
    for holder, key in held:
        made.put(holder, key, key)
    return made


def test_whoever_holds_most_makes_room_by_what_he_has_not_used_for_the_longest() -> None:
    held = pool(("bob", "b1"), ("alice", "a1"), ("alice", "a2"), ("carol", "c1"))
    assert held.spare(lambda _: False) == ("alice", "a1")
    assert held.use("alice", "a1") == "a1"
    assert held.spare(lambda _: False) == ("alice", "a2")


def test_what_is_in_use_makes_room_only_where_everything_is() -> None:
    held = pool(("alice", "a1"), ("alice", "a2"), ("bob", "b1"))
    assert held.spare(lambda key: key == "a1") == ("alice", "a2")
    assert held.spare(lambda key: key.startswith("a")) == ("bob", "b1")
    assert held.spare(lambda _: True) == ("alice", "a1")


def test_what_is_taken_is_held_no_more_and_takes_no_share() -> None:
    held = pool(("alice", "a1"), ("bob", "b1"))
    assert (held.take("alice", "a1"), held.take("alice", "a1"), held.take("alice", "b1")) == ("a1", None, None)
    assert (len(held), held.held_by("alice"), held.held_by("bob")) == (1, 0, 1)
    assert (held.has("bob", "b1"), held.has("bob", "a1"), held.use("alice", "b1")) == (True, False, None)
    assert list(held) == [("bob", "b1", "b1")]


def test_a_share_is_a_tenth_and_never_nothing() -> None:
    assert [Pool[str, str](whole).share for whole in (10_000, 20, 5)] == [1000, 2, 1]
