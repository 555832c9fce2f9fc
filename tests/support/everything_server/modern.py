"""Requests of the revision without a handshake (2026-07-28), on whatever transport."""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping

from everything_server import rpc
from everything_server.conversation import Conversation, Question
from everything_server.rpc import (
    CAPABILITIES_KEY,
    INVALID_PARAMS,
    LOG_LEVEL_KEY,
    MODERN,
    UNSUPPORTED_VERSION,
    VERSION_KEY,
    Json,
    RpcError,
    Send,
)
from everything_server.surface import INSTRUCTIONS, SERVER_INFO, Surface

CAPABILITIES: Json = {
    "tools": {"listChanged": True},
    "prompts": {"listChanged": True},
    "resources": {"listChanged": True, "subscribe": True},
    "completions": {},
    "logging": {},
}
_CACHEABLE = frozenset({"server/discover", "tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read"})
_HINTS: Json = {"ttlMs": 0, "cacheScope": "private"}
_SUBSCRIPTION_KEY = "io.modelcontextprotocol/subscriptionId"
_KEY = secrets.token_bytes(32)


class _InputRequiredError(Exception):
    def __init__(self, questions: Mapping[str, Question], state: str | None) -> None:
        super().__init__()
        self.result: Json = {
            "resultType": "input_required",
            "inputRequests": {key: {"method": method, "params": params} for key, (method, params) in questions.items()},
        } | ({"requestState": state} if state is not None else {})


async def answer(surface: Surface, message: Json, send: Send) -> Json:
    """Return the response to a request; what is said before goes by `send`. Cancelled, it has none."""
    id_, method, params = message.get("id"), message["method"], message.get("params", {})
    try:
        meta = _checked_meta(params)
        if method == "subscriptions/listen":
            return rpc.result(id_, await _listen(surface, id_, params, send))
        talk = _Talk(method, params, meta, send)
        value = _discovery() if method == "server/discover" else await surface.answer(method, talk)
    except _InputRequiredError as asked:
        value = asked.result
    except RpcError as error:
        return rpc.failure(id_, error)
    hints = _HINTS if method in _CACHEABLE else {}
    return rpc.result(id_, {"resultType": "complete", **value, **hints, "_meta": {"io.modelcontextprotocol/serverInfo": SERVER_INFO}})


def _checked_meta(params: Json) -> Json:
    meta = params.get("_meta")
    if not isinstance(meta, dict) or not isinstance(meta.get(VERSION_KEY), str) or not isinstance(meta.get(CAPABILITIES_KEY), dict):
        raise RpcError(INVALID_PARAMS, f"params._meta needs {VERSION_KEY} and {CAPABILITIES_KEY}")
    if meta[VERSION_KEY] != MODERN:
        raise RpcError(UNSUPPORTED_VERSION, "unsupported protocol version", {"supported": [MODERN], "requested": meta[VERSION_KEY]})
    return meta


def _discovery() -> Json:
    return {"supportedVersions": [MODERN], "capabilities": CAPABILITIES, "instructions": INSTRUCTIONS}


class _Talk(Conversation):
    def __init__(self, method: str, params: Json, meta: Json, send: Send) -> None:
        super().__init__(params, meta[CAPABILITIES_KEY], meta.get(LOG_LEVEL_KEY))
        self._send = send
        # What a state belongs to: it is good for the same request only.
        self._about = json.dumps([method, params.get("name"), params.get("arguments")], sort_keys=True)
        self._answers = self._read_answers()

    def _read_answers(self) -> dict[str, Json]:
        given = self.params.get("inputResponses", {})
        if not isinstance(given, dict):
            raise RpcError(INVALID_PARAMS, "inputResponses must be an object")
        state = self.params.get("requestState")
        before = {} if state is None else _unsealed(state, self._about)
        return before | {key: value for key, value in given.items() if isinstance(value, dict)}

    async def notify(self, method: str, params: Json) -> None:
        await self._send(rpc.notification(method, params))

    async def put(self, questions: Mapping[str, Question], *, sealed: bool) -> dict[str, Json]:
        missing = {key: question for key, question in questions.items() if key not in self._answers}
        if missing:
            raise _InputRequiredError(missing, _sealed(self._answers, self._about) if sealed else None)
        return {key: self._answers[key] for key in questions}

    def hang_up(self) -> None:
        """There is no way back to a stream in this revision."""


def _sealed(answers: dict[str, Json], about: str) -> str:
    contents = base64.urlsafe_b64encode(json.dumps(answers).encode()).decode()
    return f"{contents}.{_mac(contents, about)}"


def _unsealed(state: object, about: str) -> dict[str, Json]:
    contents, _, mac = str(state).partition(".")
    if not hmac.compare_digest(mac, _mac(contents, about)):
        raise RpcError(INVALID_PARAMS, "requestState is not what was given")
    answers: dict[str, Json] = json.loads(base64.urlsafe_b64decode(contents))
    return answers


def _mac(contents: str, about: str) -> str:
    return hmac.new(_KEY, f"{contents}|{about}".encode(), hashlib.sha256).hexdigest()


class _Subscription:
    """Passes on what a client asked for, and nothing else."""

    def __init__(self, id_: object, wanted: Json, send: Send) -> None:
        self._meta = {_SUBSCRIPTION_KEY: id_}
        self._wanted = wanted
        self._send = send

    async def say(self, method: str, params: Json) -> None:
        await self._send(rpc.notification(method, {**params, "_meta": self._meta}))

    async def changed(self, kind: str) -> None:
        if self._wanted.get(f"{kind}ListChanged") is True:
            await self.say(f"notifications/{kind}/list_changed", {})

    async def updated(self, uri: str) -> None:
        if uri in self._wanted.get("resourceSubscriptions", ()):
            await self.say("notifications/resources/updated", {"uri": uri})


async def _listen(surface: Surface, id_: object, params: Json, send: Send) -> Json:
    wanted = params.get("notifications")
    if not isinstance(wanted, dict):
        raise RpcError(INVALID_PARAMS, "notifications must be an object")
    subscription = _Subscription(id_, wanted, send)
    surface.hearers.add(subscription)
    try:
        await subscription.say("notifications/subscriptions/acknowledged", {"notifications": wanted})
        await asyncio.Event().wait()
    finally:
        surface.hearers.discard(subscription)
    return {}
