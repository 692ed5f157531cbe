"""Where and with what a run is made, so that it can be made again."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import datetime, timezone
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import torch

from grounding.runtime.distributed import process_count


def environment(*, seed: int, weights: str) -> dict[str, Any]:
    """The start of a run as a record of plain values; `revision` and `revision_changed` are None outside a checkout."""
    is_checkout = _git("ls-files", "--error-unmatch", __file__) is not None  # not one around an installed package
    revision = _git("rev-parse", "HEAD") if is_checkout else None
    changes = _git("status", "--porcelain", "--untracked-files=no") if is_checkout else None
    return {
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": sys.argv,
        "seed": seed,
        "weights": weights,
        "revision": revision,
        "revision_changed": None if changes is None else bool(changes),
        "python": platform.python_version(),
        "system": platform.platform(),
        "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processes": process_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "packages": dict(sorted({each.metadata["Name"]: each.version for each in distributions()}.items())),
    }


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True)
    except OSError:  # there is no git
        return None
    return done.stdout.strip() if done.returncode == 0 else None
