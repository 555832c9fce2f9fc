"""The tools: one table, name to definition and behaviour. Each behaves alike towards clients of both eras."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from everything_server import questions
from everything_server.content import audio, embedded, image, text
from everything_server.conversation import Conversation, Question
from everything_server.rpc import INVALID_PARAMS, Json, RpcError


class Announcer(Protocol):
    """Tells clients what has changed."""

    async def changed(self, kind: str) -> None:
        """Say that a list has changed."""

    async def updated(self, uri: str) -> None:
        """Say that a resource has changed."""

    given_up: list[str]
    """Words of the calls that their clients have ended."""


Behaviour = Callable[[Conversation, Json, Announcer], Awaitable[list[Json]]]
"""Takes the conversation and the arguments, gives the content of the result."""


CHANGING = "test_trigger_tool_change"
"""Whose description tells how often the tools have changed."""


class ToolFailedError(Exception):
    """Ends a call with a result that says `isError`."""


@dataclass(frozen=True)
class Tool:
    """One row of the table."""

    description: str
    run: Behaviour
    schema: Json

    def definition(self, name: str) -> Json:
        return {"name": name, "description": self.description, "inputSchema": self.schema}


def _tool(description: str, run: Behaviour, required: tuple[str, ...] = (), **properties: Json) -> Tool:
    schema: Json = {"type": "object", "properties": properties} | ({"required": list(required)} if required else {})
    return Tool(description, run, schema)


def _gives(*content: Json) -> Behaviour:
    async def run(talk: Conversation, arguments: Json, announcer: Announcer) -> list[Json]:
        return list(content)

    return run


def _asks(asked: Mapping[str, Question], *, sealed: bool = True, words: str = "answered") -> Behaviour:
    async def run(talk: Conversation, arguments: Json, announcer: Announcer) -> list[Json]:
        return [text(f"{words}: {await talk.ask(asked, sealed=sealed)}")]

    return run


async def _fail(talk: Conversation, arguments: Json, announcer: Announcer) -> list[Json]:
    raise ToolFailedError("This tool intentionally returns an error for testing")


async def _log(talk: Conversation, arguments: Json, announcer: Announcer) -> list[Json]:
    await talk.log("Tool execution started")
    await talk.pause()
    await talk.log("Tool processing data")
    await talk.pause()
    await talk.log("Tool execution completed")
    return [text("Tool with logging executed successfully")]


async def _progress(talk: Conversation, arguments: Json, announcer: Announcer) -> list[Json]:
    for done in (0, 50, 100):
        await talk.progress(done, 100)
        await talk.pause()
    return [text("Tool with progress executed successfully")]


async def _sample(talk: Conversation, arguments: Json, announcer: Announcer) -> list[Json]:
    answered = await talk.ask({"sample": questions.sample(str(arguments.get("prompt", "")))})
    return [text(f"LLM response: {answered['sample']['content']}")]


async def _elicit(talk: Conversation, arguments: Json, announcer: Announcer) -> list[Json]:
    username = {"type": "string", "description": "User's response"}
    email = {"type": "string", "description": "User's email address"}
    asked = questions.form(str(arguments.get("message", "")), ("username", "email"), username=username, email=email)
    answered = await talk.ask({"user": asked})
    return [text(f"User response: {answered['user']}")]


async def _reconnect(talk: Conversation, arguments: Json, announcer: Announcer) -> list[Json]:
    talk.hang_up()
    await talk.pause()
    return [text("Reconnection test completed successfully")]


async def _need_sampling(talk: Conversation, arguments: Json, announcer: Announcer) -> list[Json]:
    talk.need("sampling")
    return [text("sampling is there")]


async def _stream_and_ask(talk: Conversation, arguments: Json, announcer: Announcer) -> list[Json]:
    await talk.progress(0, 1)
    return [text(f"answered: {await talk.ask({'confirm': questions.CONFIRM})}")]


def _changes(kind: str) -> Behaviour:
    async def run(talk: Conversation, arguments: Json, announcer: Announcer) -> list[Json]:
        await announcer.changed(kind)
        return [text(f"{kind} changed")]

    return run


async def _update(talk: Conversation, arguments: Json, announcer: Announcer) -> list[Json]:
    await announcer.updated(str(arguments.get("uri", "")))
    return [text("updated")]


async def _two_rounds(talk: Conversation, arguments: Json, announcer: Announcer) -> list[Json]:
    first = await talk.ask({"step1": questions.STEP_1})
    second = await talk.ask({"step2": questions.STEP_2})
    return [text(f"answered: {first} {second}")]


async def _ask_what_can_be_asked(talk: Conversation, arguments: Json, announcer: Announcer) -> list[Json]:
    possible = {"name": questions.NAME, "greeting": questions.sample("Generate a greeting", 50)}
    asked = {key: question for key, question in possible.items() if talk.can_be_asked(question)}
    return [text(f"answered: {await talk.ask(asked)}")]


async def _wait(talk: Conversation, arguments: Json, announcer: Announcer) -> list[Json]:
    await talk.progress(0, 1)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        announcer.given_up.append(str(arguments.get("word", "")))
        raise
    return []


async def _tell_given_up(talk: Conversation, arguments: Json, announcer: Announcer) -> list[Json]:
    return [text(" ".join(announcer.given_up))]


_SCHEMA_2020_12: Json = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {"$anchor": "addressDef", "type": "object", "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
_EVERY_KIND = {"user_name": questions.NAME, "greeting": questions.sample("Generate a greeting", 50), "client_roots": questions.ROOTS}
_STRING: Json = {"type": "string"}

TOOLS: Mapping[str, Tool] = {
    "test_simple_text": _tool("Give text", _gives(text("This is a simple text response for testing."))),
    "test_image_content": _tool("Give an image", _gives(image())),
    "test_audio_content": _tool("Give audio", _gives(audio())),
    "test_embedded_resource": _tool(
        "Give a resource", _gives(embedded("test://embedded-resource", "This is an embedded resource content."))
    ),
    "test_multiple_content_types": _tool(
        "Give several kinds of content",
        _gives(
            text("Multiple content types test:"),
            image(),
            embedded("test://mixed-content-resource", '{"test":"data","value":123}', "application/json"),
        ),
    ),
    "test_tool_with_logging": _tool("Log three times", _log),
    "test_logging_tool": _tool("Log three times", _log),
    "test_tool_with_progress": _tool("Tell of progress three times", _progress),
    "test_error_handling": _tool("Fail", _fail),
    "test_sampling": _tool("Have the client's model say something", _sample, ("prompt",), prompt=_STRING),
    "test_elicitation": _tool("Ask the user who he is", _elicit, ("message",), message=_STRING),
    "test_elicitation_sep1034_defaults": _tool("Ask with defaults", _asks({"defaults": questions.DEFAULTS}, words="Elicitation completed")),
    "test_elicitation_sep1330_enums": _tool("Ask to choose", _asks({"enums": questions.ENUMS}, words="Elicitation completed")),
    "json_schema_2020_12_tool": Tool("Tool with JSON Schema 2020-12 features", _gives(text("valid")), _SCHEMA_2020_12),
    "test_reconnection": _tool("Close the stream before the answer", _reconnect),
    "test_missing_capability": _tool("Need sampling", _need_sampling),
    "test_streaming_elicitation": _tool("Stream, then ask", _stream_and_ask),
    CHANGING: _tool("Change the tools", _changes("tools")),
    "test_trigger_prompt_change": _tool("Say that the prompts have changed", _changes("prompts")),
    "test_trigger_resource_update": _tool("Say that a resource has changed", _update, ("uri",), uri=_STRING),
    "test_trigger_resource_change": _tool("Say that the resources have changed", _changes("resources")),
    "test_wait": _tool("Wait until the client ends the call", _wait, ("word",), word=_STRING),
    "test_given_up": _tool("Say which calls clients have ended", _tell_given_up),
    "test_url_elicitation": _tool("Ask the user to open a page", _asks({"page": questions.PAGE}, words="opened")),
    "test_x_mcp_header": _tool("Take a header", _gives(text("valid")), region={"type": "string", "x-mcp-header": "Region"}),
    "test_input_required_result_elicitation": _tool("Ask for a name", _asks({"user_name": questions.NAME}, sealed=False, words="Hello")),
    "test_input_required_result_sampling": _tool(
        "Ask the client's model", _asks({"capital_question": questions.sample("What is the capital of France?")}, sealed=False)
    ),
    "test_input_required_result_list_roots": _tool("Ask for roots", _asks({"client_roots": questions.ROOTS}, sealed=False)),
    "test_input_required_result_request_state": _tool("Ask, with a state", _asks({"confirm": questions.CONFIRM}, words="state-ok")),
    "test_input_required_result_multiple_inputs": _tool("Ask three things at once", _asks(_EVERY_KIND)),
    "test_input_required_result_multi_round": _tool("Ask twice", _two_rounds),
    "test_input_required_result_tampered_state": _tool("Ask, with a state", _asks({"confirm": questions.CONFIRM})),
    "test_input_required_result_capabilities": _tool("Ask what the client can be asked", _ask_what_can_be_asked),
}  # fmt: skip


def definitions(changes: int = 0) -> list[Json]:
    """Return the list after so many changes."""
    changed = {CHANGING: replace(TOOLS[CHANGING], description=f"Change the tools, as {changes} times before")}
    return [tool.definition(name) for name, tool in {**TOOLS, **changed}.items()]


async def call(talk: Conversation, announcer: Announcer) -> Json:
    """Return the result of a tools/call; raises RpcError."""
    name, arguments = talk.params.get("name"), talk.params.get("arguments", {})
    tool = TOOLS.get(name) if isinstance(name, str) else None
    if tool is None or not isinstance(arguments, dict):
        raise RpcError(INVALID_PARAMS, f"unknown tool or wrong arguments: {name!r}")
    try:
        return {"content": await tool.run(talk, arguments, announcer)}
    except ToolFailedError as failed:
        return {"content": [text(str(failed))], "isError": True}
