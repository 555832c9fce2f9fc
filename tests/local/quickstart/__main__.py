"""`python -m quickstart up|down`: the demo, from nothing to two answered calls."""

import argparse
import sys

from local_cluster.progress import LaunchError
from quickstart.steps import DemoError, down, up


def main() -> int:
    """Run the demo; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m quickstart", description="A cluster, the platform, two servers, and a client that calls both."
    )
    parser.add_argument("action", choices=["up", "down"], help="up: bring everything up and call both servers; down: take it all away")
    action = parser.parse_args().action
    try:
        (up if action == "up" else down)()
    except (DemoError, LaunchError) as error:
        print(f"\nthe demo failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
