"""The prompts: one table, name to definition and messages."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from everything_server import questions
from everything_server.content import embedded, image, text
from everything_server.conversation import Conversation
from everything_server.rpc import INVALID_PARAMS, Json, RpcError

Behaviour = Callable[[Conversation, Json], Awaitable[list[Json]]]
"""Takes the conversation and the arguments, gives the contents of the user's messages."""


@dataclass(frozen=True)
class Prompt:
    """One row of the table."""

    description: str
    run: Behaviour
    arguments: tuple[str, ...] = ()
    """All of them are required."""

    def definition(self, name: str) -> Json:
        arguments = [{"name": argument, "description": argument, "required": True} for argument in self.arguments]
        return {"name": name, "description": self.description} | ({"arguments": arguments} if arguments else {})


async def _simple(talk: Conversation, arguments: Json) -> list[Json]:
    return [text("This is a simple prompt for testing.")]


async def _with_arguments(talk: Conversation, arguments: Json) -> list[Json]:
    return [text(f"Prompt with arguments: arg1='{arguments['arg1']}', arg2='{arguments['arg2']}'")]


async def _with_resource(talk: Conversation, arguments: Json) -> list[Json]:
    resource = embedded(arguments["resourceUri"], "Embedded resource content for testing.")
    return [resource, text("Please process the embedded resource above.")]


async def _with_image(talk: Conversation, arguments: Json) -> list[Json]:
    return [image(), text("Please analyze the image above.")]


async def _asking(talk: Conversation, arguments: Json) -> list[Json]:
    return [text(f"Context: {await talk.ask({'user_context': questions.CONTEXT}, sealed=False)}")]


PROMPTS: Mapping[str, Prompt] = {
    "test_simple_prompt": Prompt("Say something simple", _simple),
    "test_prompt_with_arguments": Prompt("Say two arguments", _with_arguments, ("arg1", "arg2")),
    "test_prompt_with_embedded_resource": Prompt("Say what a resource holds", _with_resource, ("resourceUri",)),
    "test_prompt_with_image": Prompt("Show an image", _with_image),
    "test_input_required_result_prompt": Prompt("Ask for a context first", _asking),
}


async def get(talk: Conversation) -> Json:
    """Return the result of a prompts/get; raises RpcError."""
    name, arguments = talk.params.get("name"), talk.params.get("arguments", {})
    prompt = PROMPTS.get(name) if isinstance(name, str) else None
    if prompt is None or not isinstance(arguments, dict) or set(prompt.arguments) - set(arguments):
        raise RpcError(INVALID_PARAMS, f"unknown prompt or missing arguments: {name!r}")
    contents = await prompt.run(talk, arguments)
    return {"description": prompt.description, "messages": [{"role": "user", "content": content} for content in contents]}


def complete(params: Json) -> Json:
    """Return the result of a completion/complete."""
    typed = str(params.get("argument", {}).get("value", ""))
    values = [word for word in ("paris", "park", "party", "test", "testing") if word.startswith(typed)]
    return {"completion": {"values": values, "total": len(values), "hasMore": False}}
