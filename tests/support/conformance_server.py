"""The tools that the official conformance suite expects of a server, by the official SDK: `python conformance_server.py ADDRESS PORT`."""

import sys

from mcp.server.mcpserver import MCPServer
from mcp_types import AudioContent, ContentBlock, EmbeddedResource, ImageContent, TextContent, TextResourceContents

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
SILENCE = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA="

server = MCPServer("conformance")


@server.tool()
def test_simple_text() -> str:
    """Answer with text."""
    return "This is a simple text response for testing."


@server.tool()
def test_image_content() -> list[ContentBlock]:
    """Answer with an image."""
    return [ImageContent(type="image", data=PIXEL, mime_type="image/png")]


@server.tool()
def test_audio_content() -> list[ContentBlock]:
    """Answer with audio."""
    return [AudioContent(type="audio", data=SILENCE, mime_type="audio/wav")]


def _text_resource(uri: str, mime_type: str, text: str) -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=mime_type, text=text))


@server.tool()
def test_embedded_resource() -> list[ContentBlock]:
    """Answer with a resource."""
    return [_text_resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")]


@server.tool()
def test_multiple_content_types() -> list[ContentBlock]:
    """Answer with several kinds of content."""
    return [
        TextContent(type="text", text="Multiple content types test:"),
        ImageContent(type="image", data=PIXEL, mime_type="image/png"),
        _text_resource("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
    ]


@server.tool()
def test_error_handling() -> str:
    """Fail."""
    raise RuntimeError("This tool intentionally returns an error for testing")


if __name__ == "__main__":
    server.run(transport="streamable-http", host=sys.argv[1], port=int(sys.argv[2]))
