"""A stdio MCP server of either era that misbehaves on request: a thread a message, standard library only.

--era legacy|modern|dual     what it speaks
--unknown error|ignore|exit  what it does with a handshake of the other era
--version REVISION           what it settles on as a legacy server
--slow-start SECONDS         how long it sleeps before it reads
--exit-at-start CODE         ends before it reads
--ignore-term                lives on without its input, and through SIGTERM
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

Json = dict[str, Any]
INFO = {"name": "test-server", "version": "7"}
LISTED = {"listChanged": True}
CAPABILITIES = {"tools": LISTED, "resources": {"subscribe": True, **LISTED}, "logging": {}, "x-unknown": LISTED}
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
SUBSCRIPTION_KEY = "io.modelcontextprotocol/subscriptionId"

grew = threading.Condition()
notifications: list[Json] = []
answers: dict[Any, Json] = {}
handshakes: list[Json] = []
released: list[Json] = []
subscriptions: list[Json] = []


def write(line: bytes) -> None:
    """Print one line whole."""
    with grew:
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()


def send(message: Json) -> None:
    """Print one message."""
    write(json.dumps({"jsonrpc": "2.0"} | message).encode())


def say(text: str) -> None:
    """Print one line to standard error."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def open_conversation(options: argparse.Namespace, message: Json) -> None:
    """Answer a handshake of an era that is spoken."""
    era = "legacy" if message["method"] == "initialize" else "modern"
    if options.era in {era, "dual"}:
        handshakes.append(message)
        result: Json = {"capabilities": CAPABILITIES, "instructions": "be kind"}
        if era == "legacy":
            result |= {"protocolVersion": options.version, "serverInfo": INFO}
        else:
            result |= {"supportedVersions": ["2026-07-28"], "_meta": {"io.modelcontextprotocol/serverInfo": INFO}}
            result |= {"resultType": "complete", "ttlMs": 0, "cacheScope": "public"}
        send({"id": message["id"], "result": result})
    elif options.unknown == "exit":
        os._exit(3)
    elif options.unknown == "error":
        send({"id": message["id"], "error": {"code": -32601, "message": "Method not found\nin this era"}})


def answer(options: argparse.Namespace, message: Json) -> None:
    """Answer a request; a tool is a function of this module."""
    params = message.get("params", {})
    tool = globals().get(f"tool_{params.get('name')}")
    enveloped = VERSION_KEY in params.get("_meta", {})
    if (enveloped and options.era == "legacy") or (not enveloped and options.era == "modern"):
        send({"id": message["id"], "error": {"code": -32602, "message": f"envelope: {enveloped}"}})
    elif message["method"] == "subscriptions/listen" and options.era == "modern":
        subscriptions.append(message)
        granted = {"notifications": params["notifications"], "_meta": {SUBSCRIPTION_KEY: message["id"]}}
        send({"method": "notifications/subscriptions/acknowledged", "params": granted})
    elif message["method"] == "tools/list":
        listed = {"name": "echo", "inputSchema": {"type": "object", "$defs": {"x": {}}}, "x-unknown": 1}
        cacheable = {"resultType": "complete", "ttlMs": 0, "cacheScope": "public"} if options.era == "modern" else {}
        send({"id": message["id"], "result": {"tools": [listed]} | cacheable})
    elif message["method"] in {"logging/setLevel", "resources/subscribe"} and options.era != "modern":
        send({"id": message["id"], "result": {"served": message["method"]}})
    elif message["method"] != "tools/call":
        send({"id": message["id"], "error": {"code": -32601, "message": "Method not found"}})
    elif tool is None:
        send({"id": message["id"], "error": {"code": -32602, "message": "Unknown tool"}})
    elif (value := tool(message, **params.get("arguments", {}))) is not None:
        complete = {"resultType": "complete"} if options.era == "modern" else {}
        send({"id": message["id"], "result": {"content": [{"type": "text", "text": json.dumps(value)}]} | complete})


def tool_echo(message: Json, delay: float = 0.0, **arguments: Any) -> Any:
    """Return the request as it came, after so many seconds."""
    time.sleep(delay)
    return message


def tool_sleep(message: Json, seconds: float, value: Any) -> Any:
    """Return a value later."""
    time.sleep(seconds)
    return value


def tool_hang(message: Json) -> None:
    """Say under which id, and never answer."""
    say(f"hanging {message['id']}")


def tool_exit(message: Json, code: int) -> None:
    """End without an answer."""
    os._exit(code)


def tool_answer_and_exit(message: Json) -> None:
    """Answer, then end before anyone could react."""
    send({"id": message["id"], "result": {"content": []}})
    os._exit(0)


def tool_kill(message: Json) -> None:
    """Die of a signal."""
    os.kill(os.getpid(), signal.SIGKILL)


def tool_close_output(message: Json) -> None:
    """Close standard output and live on."""
    os.close(1)


def tool_garbage(message: Json) -> Any:
    """Print what is not JSON-RPC before the answer."""
    for line in (b"starting up!", b"", b"\xff\xfe", b"[1, 2]", b"123", b'{"id": 999999, "result": {}}', b"[" * 100_000, b"x" * 5000):
        write(line)
    return "after garbage"


def tool_big(message: Json, size: int, id_last: bool = False) -> None:
    """Answer with so many characters."""
    result = {"result": {"content": [{"type": "text", "text": "x" * size}]}}
    send(result | {"id": message["id"]} if id_last else {"id": message["id"]} | result)


def tool_not_a_number(message: Json) -> Any:
    """Answer with what Python takes for JSON."""
    send({"id": message["id"], "result": {"structuredContent": {"x": float("nan"), "y": 1}, "content": []}})


def tool_odd_answer(message: Json) -> None:
    """Answer with neither result nor error."""
    send({"id": message["id"]})


def tool_ask(message: Json) -> Any:
    """Ask the client back and return its answers."""
    for method in ("ping", "sampling/createMessage"):
        send({"id": f"ask-{method}", "method": method, "params": {}})
    with grew:
        grew.wait_for(lambda: len(answers) == 2, 10)
        return answers


def tool_notify(message: Json) -> Any:
    """Send progress and a log line before the answer."""
    send({"method": "notifications/progress", "params": {"progressToken": 1, "progress": 1}})
    send({"method": "notifications/message", "params": {"level": "info", "data": "x"}})
    return "notified"


def tool_progress(message: Json, times: int, waits: bool = False) -> Any:
    """Tell of the progress of this call so many times, under its token, then wait for a release if wanted; return that token."""
    token = message["params"].get("_meta", {}).get("progressToken")
    for each in range(times):
        send({"method": "notifications/progress", "params": {"progressToken": token, "progress": each, "x-unknown": 1}})
    with grew:
        grew.wait_for(lambda: not waits or released, 10)
    return [token]


def tool_release(message: Json) -> Any:
    """Let go who waits."""
    with grew:
        released.append(message)
        grew.notify_all()
    return "released"


def tool_say(message: Json, method: str, params: Json) -> Any:
    """Send a notification."""
    send({"method": method, "params": params})
    return "said"


def tool_question(message: Json, method: str, ids: list[Any], withdraw: bool = False) -> Any:
    """Ask the caller under these ids; return the answers."""
    for id_ in ids:
        send({"id": id_, "method": method, "params": {"x": 1}})
    if withdraw:
        send({"method": "notifications/cancelled", "params": {"requestId": ids[0]}})
        return "withdrawn"
    with grew:
        grew.wait_for(lambda: all(id_ in answers for id_ in ids), 10)
        return [answers.get(id_) for id_ in ids]


def tool_handshake(message: Json) -> Any:
    """Return the handshake that was answered."""
    return handshakes[-1]["params"]


def tool_announce(message: Json, kind: str, times: int = 1) -> Any:
    """Announce that a list changed: as a modern server to whoever subscribed to that, as a legacy one unasked."""
    modern = VERSION_KEY in message["params"].get("_meta", {})
    wanted = [one["id"] for one in subscriptions if one["params"]["notifications"].get(f"{kind}ListChanged")]
    for id_ in wanted if modern else [None]:
        params = {"params": {"_meta": {SUBSCRIPTION_KEY: id_}}} if modern else {}
        for _ in range(times):
            send({"method": f"notifications/{kind}/list_changed"} | params)
    return "announced"


def tool_heard(message: Json, method: str, count: int) -> Any:
    """Return the notifications of a method once there are so many."""
    with grew:
        grew.wait_for(lambda: [each["method"] for each in notifications].count(method) >= count, 10)
        return [each for each in notifications if each["method"] == method]


def tool_notifications(message: Json) -> Any:
    """Return every notification so far."""
    return notifications


def tool_process(message: Json) -> Any:
    """Return what the process inherited."""
    return {"environment": dict(os.environ), "pid": os.getpid(), "directory": str(Path.cwd())}


def tool_orphan(message: Json, seconds: float) -> Any:
    """Leave a process behind that ends after its parent; return its id."""
    script = f"sleep {seconds} >/dev/null & echo $!"
    return int(subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, check=True).stdout)


def tool_exists(message: Json, pid: int) -> Any:
    """Tell whether there is a process, zombies included."""
    return Path(f"/proc/{pid}").exists()


def tool_stderr(message: Json) -> Any:
    """Print to standard error."""
    say("a line on stderr")
    return "printed"


def receive(options: argparse.Namespace, message: Json) -> None:
    """Take one message."""
    if "method" in message and "id" in message:
        if message["method"] in {"initialize", "server/discover"}:
            open_conversation(options, message)
        else:
            threading.Thread(target=answer, args=(options, message), daemon=True).start()
        return
    with grew:
        if "method" in message:
            notifications.append(message)
        else:
            answers[message["id"]] = message
        grew.notify_all()


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--era", default="legacy")
    parser.add_argument("--version", default="2025-11-25")
    parser.add_argument("--unknown", default="error")
    parser.add_argument("--slow-start", type=float, default=0.0)
    parser.add_argument("--exit-at-start", type=int)
    parser.add_argument("--ignore-term", action="store_true")
    options = parser.parse_args()
    if options.exit_at_start is not None:
        sys.exit(options.exit_at_start)
    if options.ignore_term:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(options.slow_start)
    for line in sys.stdin.buffer:
        receive(options, json.loads(line))
    while options.ignore_term:
        signal.pause()
    os._exit(0)


main()
