"""A real browser without a window, used as a person uses it: with keys and a pointer, and what assistive technology reads.

Spoken to by the Chrome DevTools Protocol. Pages run no script in it, so that a page that needs one is seen to fail.
"""

import asyncio
import base64
import contextlib
import itertools
import os
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from eventually import eventually
from local_cluster import packages

_FLAGS = (
    "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-extensions", "--disable-dev-shm-usage", "--remote-debugging-port=0", "--ignore-certificate-errors",
    # Every name is this machine, and nobody else is asked.
    "--host-resolver-rules=MAP * 127.0.0.1",
)  # fmt: skip
_KEYS = {"Tab": (9, ""), "Enter": (13, "\r"), "Space": (32, " ")}


@dataclass(frozen=True)
class Node:
    """What assistive technology reads of an element."""

    role: str
    name: str
    focused: bool


class Browser:
    """One page of a running browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loaded: set[str] = set()
        self.requested: list[str] = []
        """URLs, in the order in which the page wanted them."""
        self.complaints: list[str] = []
        """What the browser has to say: broken policies, failed loads, scripts that did not run."""

    async def read(self) -> None:
        """Take what the browser says, until it ends."""
        async for message in self._socket:
            event = message.json()
            if "id" in event:
                self._answers.pop(event["id"]).set_result(event)
            else:
                self._note(event["method"], event["params"])

    def _note(self, method: str, event: dict[str, Any]) -> None:
        match method:
            case "Page.lifecycleEvent" if event["name"] == "load":
                self._loaded.add(event["loaderId"])
            case "Network.requestWillBeSent":
                self.requested.append(event["request"]["url"])
            case "Log.entryAdded":
                self.complaints.append(event["entry"]["text"])

    async def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and return its result."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(60):
            result = await answer
        if "error" in result:
            raise RuntimeError(f"{method}: {result['error']['message']}")
        return dict(result["result"])

    async def open(self, url: str) -> None:
        """Go to a URL and wait until it is there."""
        navigated = await self.do("Page.navigate", url=url)
        await eventually(lambda: navigated["loaderId"] in self._loaded)

    async def url(self) -> str:
        """Return where the page is."""
        history = await self.do("Page.getNavigationHistory")
        return str(history["entries"][history["currentIndex"]]["url"])

    async def show(self, width: int, height: int, *, dark: bool = False) -> None:
        """Be a screen of this size."""
        await self.do("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        await self.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    async def content_width(self) -> int:
        """Return how wide the page is, in pixels: more than the screen, and it has to be pushed about."""
        return int((await self.do("Page.getLayoutMetrics"))["cssContentSize"]["width"])

    async def picture(self) -> bytes:
        """Return what is seen, as PNG."""
        return base64.b64decode((await self.do("Page.captureScreenshot", format="png", captureBeyondViewport=True))["data"])

    async def press(self, key: str) -> None:
        """Press a key."""
        code, text = _KEYS[key]
        pressed = {"key": key if key != "Space" else " ", "code": key, "windowsVirtualKeyCode": code, "text": text}
        await self.do("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **pressed)
        await self.do("Input.dispatchKeyEvent", type="keyUp", **pressed)

    async def click(self, name: str) -> None:
        """Press the button or link that is called so, with the pointer."""
        for node in (await self.do("Accessibility.getFullAXTree"))["nodes"]:
            if node["role"]["value"] in {"button", "link"} and node["name"]["value"] == name:
                await self.do("DOM.scrollIntoViewIfNeeded", backendNodeId=node["backendDOMNodeId"])
                box = (await self.do("DOM.getBoxModel", backendNodeId=node["backendDOMNodeId"]))["model"]["content"]
                place = {"x": (box[0] + box[4]) / 2, "y": (box[1] + box[5]) / 2, "button": "left", "clickCount": 1}
                await self.do("Input.dispatchMouseEvent", type="mousePressed", **place)
                await self.do("Input.dispatchMouseEvent", type="mouseReleased", **place)
                return
        raise AssertionError(f"nothing to press is called {name}")

    async def nodes(self) -> list[Node]:
        """Return what assistive technology reads, in its order."""
        found = []
        for node in (await self.do("Accessibility.getFullAXTree"))["nodes"]:
            if not node.get("ignored"):
                properties = {one["name"]: one["value"].get("value") for one in node.get("properties", [])}
                found.append(Node(node["role"]["value"], node.get("name", {}).get("value", ""), bool(properties.get("focused"))))
        return found

    async def focus(self) -> str:
        """Return the name of what has the focus."""
        return next((node.name for node in reversed(await self.nodes()) if node.focused), "")


@contextlib.asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """Yield a new browser. Raises LaunchError, which says how to get Chromium, where there is none and none can be installed."""
    packages.ensure(packages.BROWSER)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # Chromium does not run as root in its own sandbox.
        flags = [*_FLAGS, f"--user-data-dir={folder}", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        process = await asyncio.create_subprocess_exec(
            "chromium", *flags, "about:blank", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            async with aiohttp.ClientSession() as session, session.ws_connect(await _page(session, Path(folder))) as socket:
                page = Browser(socket)
                reading = asyncio.create_task(page.read())
                for domain in ("Page", "Network", "Log", "DOM", "Accessibility"):
                    await page.do(f"{domain}.enable")
                await page.do("Page.setLifecycleEventsEnabled", enabled=True)
                await page.do("Emulation.setScriptExecutionDisabled", value=True)
                yield page
                reading.cancel()
        finally:
            process.terminate()
            await process.wait()


async def _page(session: aiohttp.ClientSession, folder: Path) -> str:
    """Return where the browser's page is spoken to, as soon as it is there."""
    told = folder / "DevToolsActivePort"
    await eventually(lambda: told.exists() and "\n" in told.read_text(), 60)
    port = told.read_text().split("\n")[0]
    async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
        return next(str(target["webSocketDebuggerUrl"]) for target in await answer.json() if target["type"] == "page")
