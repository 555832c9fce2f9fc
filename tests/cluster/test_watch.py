"""The body of a watch, cut into whatever chunks."""

from collections.abc import AsyncIterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfinger_cluster import watch
from wharfinger_cluster.errors import ClusterError, Forbidden, Gone, Unreachable
from wharfinger_cluster.resource import CONFIG_MAP


def line(event_type: str, name: str) -> bytes:
    metadata = {"name": name, "resourceVersion": "1", "managedFields": [{"manager": "kubectl"}]}
    return msgspec.json.encode({"type": event_type, "object": {"metadata": metadata}}) + b"\n"


async def read(*chunks: bytes) -> list[tuple[str, str]]:
    async def body() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    found = [event async for event in watch.events(body(), "watch configmaps", CONFIG_MAP)]
    assert not any("managedFields" in event.object["metadata"] for event in found)
    return [(event.type, event.object["metadata"]["name"]) for event in found]


@given(st.lists(st.text(max_size=30), max_size=8), st.data())
async def test_events_are_the_same_however_the_body_is_cut(names: list[str], data: st.DataObject) -> None:
    body = b"".join(line("ADDED", name) for name in names)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=10)))
    chunks = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert await read(*chunks) == [("ADDED", name) for name in names]


async def test_a_line_that_was_cut_off_and_blank_lines_are_no_events() -> None:
    assert await read(b"\n", line("DELETED", "a"), b"\r\n", line("ADDED", "b")[:-10]) == [("DELETED", "a")]


@pytest.mark.parametrize(("code", "kind"), [(410, Gone), (403, Forbidden), (500, Unreachable)])
async def test_an_error_event_is_raised(code: int, kind: type[ClusterError]) -> None:
    with pytest.raises(kind, match="watch configmaps: "):
        await read(b'{"type":"ERROR","object":{"kind":"Status","code":%d}}\n' % code)


@pytest.mark.parametrize("body", [b"<html>\n", b"[]\n", b'"x"\n', b'{"type":"ADDED"}\n', b'{"type":"ODD","object":{}}\n', b"\xff\n"])
async def test_what_is_no_event_is_unreachable(body: bytes) -> None:
    with pytest.raises(Unreachable, match="watch configmaps"):
        await read(body)


async def test_a_line_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LINE_LIMIT", 100)
    with pytest.raises(Unreachable, match="more than 100 bytes"):
        await read(b"x" * 60, b"x" * 60)
