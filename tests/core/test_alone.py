"""One thread judges at a time: an agent reads a policy's examples in one thread and judges an action in another."""

from __future__ import annotations

import subprocess
import sys

JUDGING = """
import sys, threading
from caisey_core.policy import of_script

sys.setswitchinterval(1e-6)
scripts = [
    (f"for i in a b; do ls /srv/{n} | grep x{n}; done; find /x{n} -name '*.log'", "/bin/sh")
    for n in range(60)
] + [(f"Get-Service s{n} | Where-Object Status -eq Running | Select-Object Name", "powershell") for n in range(60)]
found = []
threads = [
    threading.Thread(target=lambda: found.append([of_script(*each).verdict for each in scripts])) for _ in range(4)
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
alone = [of_script(*each).verdict for each in scripts]
assert found == [alone] * 4
"""


def test_threads_that_judge_at_once_come_to_the_same() -> None:
    """In a program of its own, for what goes wrong here ends it (SIGSEGV); and nothing is loaded there beforehand."""
    done = subprocess.run([sys.executable, "-c", JUDGING], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr)
