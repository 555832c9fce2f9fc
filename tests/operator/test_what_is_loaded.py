"""What a running operator has in memory without needing it all the time."""

import subprocess
import sys

_PROGRAM = """
import sys
sys.modules.update(dict.fromkeys(("kubernetes", "pykube")))  # not in the image, and kopf loads what it finds
import wharfinger_operator.__main__
print([name for name in sys.modules if name.partition(".")[0] in ("cryptography", "cffi")])
"""


def test_a_program_that_has_its_signing_keys_does_without_the_library_that_makes_them() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
