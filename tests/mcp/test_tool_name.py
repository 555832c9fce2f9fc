"""The names under which tools are exposed."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfinger_mcp.tool_name import AssignedTool, exposed_names

pytestmark = pytest.mark.requirement("GW-2")

# Few letters, so that names collide.
words = st.text(st.sampled_from("ab_.-é/"), max_size=5) | st.just("a" * 40)
tools = st.builds(AssignedTool, words, words, st.just("") | words)
sets = st.lists(tools, max_size=12)


def names(*tools: AssignedTool) -> dict[AssignedTool, str]:
    return {tool: name for name, tool in exposed_names(tools).items()}


def test_a_plain_tool_is_prefixed() -> None:
    assert exposed_names([AssignedTool("github", "search_code")]) == {"github__search_code": AssignedTool("github", "search_code")}


def test_a_renamed_tool_has_its_alias_and_keeps_its_own_name_for_the_server() -> None:
    assert exposed_names([AssignedTool("gh", "get_me", "whoami")]) == {"gh__whoami": AssignedTool("gh", "get_me", "whoami")}


@pytest.mark.parametrize(
    ("tool", "name"), [("a.b", "p__a_b"), ("a/b c", "p__a_b_c"), ("grüß", "p__gr__"), ("", "p__"), ("a-B_9", "p__a-B_9")]
)
def test_characters_that_clients_refuse_become_underscores(tool: str, name: str) -> None:
    assert list(exposed_names([AssignedTool("p", tool)])) == [name]


def test_a_name_of_64_characters_stays_and_one_of_65_is_cut_to_60_with_a_hash() -> None:
    fits, too_long = AssignedTool("p", "a" * 61), AssignedTool("q", "a" * 62)
    by_tool = names(fits, too_long)
    assert by_tool[fits] == "p__" + "a" * 61
    assert re.fullmatch(r"q__a{50}_[0-9a-f]{6}", by_tool[too_long])


def test_long_names_that_differ_only_in_their_end_stay_apart() -> None:
    assert len(exposed_names(AssignedTool("p", "a" * 100 + str(number)) for number in range(100))) == 100


def test_of_two_tools_with_one_name_the_unchanged_one_keeps_it() -> None:
    dotted, plain = AssignedTool("p", "a.b"), AssignedTool("p", "a_b")
    by_tool = names(dotted, plain)
    assert by_tool[plain] == "p__a_b"
    assert re.fullmatch(r"p__a_b_[0-9a-f]{6}", by_tool[dotted])


def test_a_prefix_cannot_take_the_name_of_another_prefixs_tool() -> None:
    first, second = AssignedTool("a", "b__c"), AssignedTool("a__b", "c")
    by_tool = names(first, second)
    assert by_tool[first] == "a__b__c"
    assert by_tool[second] != by_tool[first]


def test_a_tool_named_like_the_hash_of_another_does_not_collide() -> None:
    dotted, plain = AssignedTool("p", "a.b"), AssignedTool("p", "a_b")
    impostor = AssignedTool("p", names(dotted, plain)[dotted].removeprefix("p__"))
    by_tool = names(dotted, plain, impostor)
    assert len(set(by_tool.values())) == 3
    assert by_tool[impostor] == f"p__{impostor.tool}"


@given(sets)
def test_every_tool_has_one_name_that_every_client_takes(assigned: list[AssignedTool]) -> None:
    exposed = exposed_names(assigned)
    assert set(exposed.values()) == set(assigned)
    assert len(exposed) == len(set(assigned))
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in exposed)


@given(sets, st.randoms(use_true_random=False))
def test_names_do_not_depend_on_the_order(assigned: list[AssignedTool], order: random.Random) -> None:
    shuffled = order.sample(assigned, len(assigned))
    assert list(exposed_names(shuffled).items()) == list(exposed_names(assigned).items())


@given(sets, tools)
def test_a_further_tool_renames_none_but_those_whose_name_it_wants(assigned: list[AssignedTool], further: AssignedTool) -> None:
    def plain(tool: AssignedTool) -> str:
        return re.sub(r"[^a-zA-Z0-9_-]", "_", f"{tool.prefix}__{tool.alias or tool.tool}")

    before, after = names(*assigned), names(*assigned, further)
    for tool in before:
        if plain(tool) != plain(further) and before[tool] != plain(further):
            assert after[tool] == before[tool]
