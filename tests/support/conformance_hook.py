"""What the conformance suite starts as the client of its server, `python conformance_hook.py PORT URL`: it tells who waits at the port.

Nothing but the standard library is imported, so that it starts at once.
"""

import json
import os
import sys
from urllib.request import urlopen

told = {
    "url": sys.argv[2],
    "revision": os.environ["MCP_CONFORMANCE_PROTOCOL_VERSION"],
    "context": json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}")),
}
with urlopen(f"http://127.0.0.1:{sys.argv[1]}/", json.dumps(told).encode()) as answer:
    print(answer.read().decode())
