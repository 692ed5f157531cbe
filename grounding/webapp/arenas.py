"""Memory of a process that answers from many threads."""

from __future__ import annotations

import ctypes
import sys

ARENAS = 2
M_ARENA_MAX = -8  # of mallopt, in glibc's malloc.h


def use_few_arenas() -> None:
    """Let glibc keep freed memory in two pools rather than in eight for each core; elsewhere, nothing.

    What a thread has freed is kept for the threads that share its pool. With the many threads that a page's answers are
    made in, all pools grew as large as the largest answer, and the process grew for as long as it was used.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):  # musl has none
            libc.mallopt(M_ARENA_MAX, ARENAS)
