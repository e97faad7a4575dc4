"""What hashing took is given back, whichever threads hashed."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HASHING = """
import threading, time
from concurrent.futures import ThreadPoolExecutor
from argon2 import PasswordHasher
from idp import memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4 // 1024

trim, hasher = memory.Trim(), PasswordHasher(time_cost=1, memory_cost=19456, parallelism=1)
one = threading.Lock()

def compute(_):
    with one:
        hasher.hash("a pass phrase")
    trim.later()

before = resident()
with ThreadPoolExecutor(4) as threads:
    list(threads.map(compute, range(16)))
    time.sleep(4 * memory.QUIET_SECONDS)
    print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone gives memory back")
def test_after_hashing_in_several_threads_the_memory_is_given_back() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", HASHING], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert int(ran.stdout) < 10, "MiB more than before, of 19 for each thread"
