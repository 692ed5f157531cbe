"""The environment with the oldest torch: what `make oldest` asks pip for, with stand-ins for Python and pip."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from packaging.requirements import Requirement

from tests.scripts import ROOT

PYTHON = """#!/bin/sh
mkdir -p "$3/bin"
printf '#!/bin/sh\\necho "$*" >pip-call\\n' >"$3/bin/pip"
chmod +x "$3/bin/pip"
"""


def test_the_oldest_torch_and_all_else_as_pinned(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    for name in ("scripts/oldest.sh", "requirements.txt", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    subprocess.run(["sh", "scripts/oldest.sh"], cwd=tmp_path, env={"PYTHON": str(python), "PATH": "/usr/bin:/bin"},
                   check=True)  # fmt: skip
    assert (tmp_path / "pip-call").read_text().endswith("-r requirements-dev.txt -c build/oldest-constraints.txt\n")

    def pins(path: Path) -> dict[str, str]:
        lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
        return {line: Requirement(line).name for line in lines if line}

    asked, pinned = pins(tmp_path / "build/oldest-constraints.txt"), pins(ROOT / "constraints.txt")
    ranges = [Requirement(line) for line, name in pins(ROOT / "requirements.txt").items() if name.startswith("torch")]
    floors = {
        f"{each.name}=={bound.version}.0" for each in ranges for bound in each.specifier if bound.operator == ">="
    }
    assert set(asked) - set(pinned) == floors
    assert len(floors) == 2
    left_out = {pinned[line] for line in set(pinned) - set(asked)}
    assert all(name in {"torch", "torchvision", "triton", "sympy"} or name.startswith(("nvidia-", "cuda-"))
               for name in left_out)  # fmt: skip
    assert {"torch", "torchvision", "triton", "nvidia-cublas"} <= left_out
