"""Content-Type and Accept of a POST."""

import pytest
from multidict import CIMultiDict

from wharfinger_mcp.media_type import accepts, essence, reject_media

BOTH = "application/json, text/event-stream"

POSTS: dict[str, tuple[list[tuple[str, str]], int | None]] = {
    "as the specification has it": ([("content-type", "application/json"), ("accept", BOTH)], None),
    "a charset does not matter": ([("Content-Type", "Application/JSON; charset=utf-8"), ("Accept", BOTH)], None),
    "no Accept is anything": ([("Content-Type", "application/json")], None),
    "an empty Accept is anything": ([("Content-Type", "application/json"), ("Accept", "")], None),
    "any type": ([("Content-Type", "application/json"), ("Accept", "*/*")], None),
    "any application type": ([("Content-Type", "application/json"), ("Accept", "text/html;q=0.9, application/*;q=0.1")], None),
    "only JSON: no stream is needed": ([("Content-Type", "application/json"), ("Accept", "application/json")], None),
    "Accept over two fields": (
        [("Content-Type", "application/json"), ("Accept", "text/event-stream"), ("Accept", "application/json")],
        None,
    ),
    "no Content-Type": ([("Accept", BOTH)], 415),
    "another Content-Type": ([("Content-Type", "text/plain"), ("Accept", BOTH)], 415),
    "two Content-Types": ([("Content-Type", "application/json"), ("Content-Type", "text/plain"), ("Accept", BOTH)], 415),
    "only a stream": ([("Content-Type", "application/json"), ("Accept", "text/event-stream")], 406),
    "a web page": ([("Content-Type", "application/json"), ("Accept", "text/html")], 406),
    "JSON with weight zero": ([("Content-Type", "application/json"), ("Accept", "application/json;q=0.0, text/event-stream")], 406),
}


@pytest.mark.parametrize("rule", POSTS)
def test_a_post_is_served_or_refused_by_its_media_types(rule: str) -> None:
    fields, status = POSTS[rule]
    rejected = reject_media(CIMultiDict(fields))
    assert (rejected and rejected.status) == status


def test_a_stream_is_sent_only_to_who_accepts_one() -> None:
    assert accepts(CIMultiDict({"Accept": BOTH}), "text/event-stream")
    assert accepts(CIMultiDict(), "text/event-stream")
    assert not accepts(CIMultiDict({"Accept": "application/json"}), "text/event-stream")


def test_a_media_type_is_compared_without_parameters_and_case() -> None:
    assert essence(" Text/Event-Stream ;charset=utf-8") == "text/event-stream"
    assert essence(None) == ""
