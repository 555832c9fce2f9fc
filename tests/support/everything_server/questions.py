"""What clients are asked."""

from everything_server.conversation import Question
from everything_server.rpc import Json


def form(message: str, required: tuple[str, ...] = (), **properties: Json) -> Question:
    schema: Json = {"type": "object", "properties": properties} | ({"required": list(required)} if required else {})
    return "elicitation/create", {"message": message, "requestedSchema": schema}


def sample(prompt: str, most: int = 100) -> Question:
    message = {"role": "user", "content": {"type": "text", "text": prompt}}
    return "sampling/createMessage", {"messages": [message], "maxTokens": most}


PAGE: Question = ("elicitation/create", {"mode": "url", "message": "Please log in", "url": "https://login.example.com/begin"})
ROOTS: Question = ("roots/list", {})
NAME = form("What is your name?", ("name",), name={"type": "string"})
CONFIRM = form("Please confirm", ("ok",), ok={"type": "boolean"})
STEP_1 = form("Step 1: What is your name?", ("name",), name={"type": "string"})
STEP_2 = form("Step 2: What is your favorite color?", ("color",), color={"type": "string"})
CONTEXT = form("What context should the prompt use?", ("context",), context={"type": "string"})

DEFAULTS = form(
    "Please check these",
    name={"type": "string", "default": "John Doe"},
    age={"type": "integer", "default": 30},
    score={"type": "number", "default": 95.5},
    status={"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    verified={"type": "boolean", "default": True},
)


def _titled(*titles: str) -> list[Json]:
    return [{"const": f"value{number}", "title": title} for number, title in enumerate(titles, 1)]


_OPTIONS = ["option1", "option2", "option3"]
ENUMS = form(
    "Please choose",
    untitledSingle={"type": "string", "enum": _OPTIONS},
    titledSingle={"type": "string", "oneOf": _titled("First Option", "Second Option", "Third Option")},
    legacyEnum={"type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"]},
    untitledMulti={"type": "array", "items": {"type": "string", "enum": _OPTIONS}},
    titledMulti={"type": "array", "items": {"anyOf": _titled("First Choice", "Second Choice", "Third Choice")}},
)
