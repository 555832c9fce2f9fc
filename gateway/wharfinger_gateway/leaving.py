"""How a replica leaves: what clients find elsewhere as well ends at once, what only this replica can finish is finished, within a time.

Streams on which nothing is awaited end: their clients open others. Requests that other replicas pass on are sent back to them. A call whose
caller may be asked something goes on, and so does the way by which his answer comes in.
"""

from __future__ import annotations

import asyncio
from typing import Final

from wharfinger_gateway.conversation import Conversations
from wharfinger_gateway.replica import Replica

LOOK_SECONDS: Final = 0.1


async def leave(replica: Replica, conversations: Conversations, seconds: float) -> None:
    """Return when no call here waits for its caller any more; after so many seconds those that do are ended."""
    replica.hops.is_leaving = True
    replica.listeners.close()
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while (len(conversations) or replica.sessions.may_ask) and loop.time() < end:  # noqa: ASYNC110 - once in the life of a process
        await asyncio.sleep(LOOK_SECONDS)
    conversations.close()
