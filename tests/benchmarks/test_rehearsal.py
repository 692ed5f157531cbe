"""The dress rehearsal's data set has RefCOCOg's numbers and is read as it is; a part's memory is its processes'."""

from __future__ import annotations

import sys

from benchmarks.rehearsal import timed


def test_peak_memory_is_that_of_all_processes(tmp_path):
    child = "import time; x = bytearray(150_000_000); time.sleep(0.6)"
    code = f"import subprocess, sys; x = bytearray(100_000_000); subprocess.run([sys.executable, '-c', {child!r}])"
    seconds, peak = timed([sys.executable, "-c", code])
    assert seconds > 0.6 and 240e6 < peak < 400e6
