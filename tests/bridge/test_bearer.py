"""Who is let in by a token file."""

from pathlib import Path

import pytest

from wharfinger_bridge.bearer import TokenFile


@pytest.mark.parametrize(
    ("content", "good"),
    [
        ("one", ["one"]),
        ("one\ntwo\n", ["one", "two"]),
        ("  one \n\n", ["one"]),
        ("1\n2\n3\n4\n5", ["1", "2", "3", "4"]),
        ("", []),
        ("ü", []),
    ],
)
def test_each_of_the_first_four_lines_is_a_good_token(tmp_path: Path, content: str, good: list[str]) -> None:
    file = tmp_path / "token"
    file.write_text(content)
    tokens = TokenFile(file)
    assert [each for each in ["one", "two", "1", "2", "3", "4", "5", "", "\n"] if tokens.admits(f"Bearer {each}")] == good


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Basic one", "one", "Bearerone", "Bearer one two", "Bearer \u00fc"]
)
def test_anything_else_is_refused(tmp_path: Path, authorization: str | None) -> None:
    file = tmp_path / "token"
    file.write_text("one")
    assert not TokenFile(file).admits(authorization)
    assert TokenFile(file).admits("bearer one")


def test_a_changed_file_counts_at_the_next_request_and_a_missing_one_lets_nobody_in(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "token"
    tokens = TokenFile(file)
    assert not tokens.admits("Bearer ")
    for content, good in [("planted-one", "planted-one"), ("planted-two!", "planted-two!")]:
        replacement = tmp_path / "new"
        replacement.write_text(content)
        replacement.rename(file)
        assert tokens.admits(f"Bearer {good}")
    assert not tokens.admits("Bearer planted-one")
    file.unlink()
    assert not tokens.admits("Bearer planted-two!")
    assert "planted" not in capfd.readouterr().err
