"""What `pip install .` gives: all files that the package reads, and commands whose help does not wait for PyTorch."""

from __future__ import annotations

import json
import re
import subprocess
import sys

from tests.scripts import ROOT


def test_every_file_that_the_package_reads_is_installed() -> None:
    [listed] = re.findall(r"^grounding = (\[.*\])$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    package = ROOT / "grounding"
    installed = {path for pattern in json.loads(listed) for path in package.glob(pattern)}
    read = {path for path in package.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert len(read) > 10 and read - installed == set()


def test_help_and_the_import_need_no_pytorch() -> None:
    code = "import sys, grounding, grounding.__main__, grounding.data.refshapes.__main__, visualize\n"
    code += "grounding.__main__.read_words(['street.jpg', 'the red car'])\n"
    code += "print([each for each in ('torch', 'matplotlib', 'gradio', 'clip') if each in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
