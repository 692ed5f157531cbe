"""Threads share glibc's pools of freed memory."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from grounding.webapp.arenas import ARENAS
from tests.scripts import ROOT

# Each thread holds some memory until all do, so that none can do without a pool.
PROGRAM = """
import ctypes, sys, tempfile, threading
from grounding.webapp.arenas import use_few_arenas
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
libc.malloc_info.argtypes, libc.fclose.argtypes = [ctypes.c_int, ctypes.c_void_p], [ctypes.c_void_p]
if sys.argv[1] == "few":
    use_few_arenas()
together = threading.Barrier(8)
def hold():
    together.wait()
    for _ in range(1000):
        libc.malloc(1000)
    together.wait()
threads = [threading.Thread(target=hold) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
with tempfile.NamedTemporaryFile() as file:
    stream = libc.fopen(file.name.encode(), b"w")
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    print(file.read().count(b"<heap nr="))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these pools")
def test_many_threads_share_few_pools() -> None:
    few, many = (
        int(subprocess.run([sys.executable, "-c", PROGRAM, which], cwd=ROOT, capture_output=True, check=True).stdout)
        for which in ("few", "many")
    )
    assert few <= ARENAS < many
